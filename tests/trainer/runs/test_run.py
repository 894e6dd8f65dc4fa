"""Whole runs on tiny data: what lies in the folder afterwards, what a resume continues, what is refused."""

from __future__ import annotations

import base64
import csv
import json
import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.schema import Config
from data.hand_bone.classes import BONES
from data.masks.rle import encode
from tests.contest import SIDE_PX
from trainer.evaluation.distances import DistanceTable, distances_of_runs
from trainer.evaluation.ruler import make_ruler
from trainer.records.checkpoint import StateFiles, load_weights
from trainer.records.folder import RunFolder
from trainer.report.report import distance_tables
from trainer.runs.listeners import emit_to_all
from trainer.runs.run import measure_distances, traceback_of, train
from trainer.split import find_split
from trainer.trained import load_trained
from trainer.training.engine import Engine, NonFiniteLoss
from trainer.training.stepper import Stepper
from utils.errors import Interrupted, UserError
from utils.events import Event, ImageScored

Make = Callable[..., Config]


def weights_of(folder: RunFolder) -> dict[str, torch.Tensor]:
    """The weights after the last step, from the newest state."""
    found = StateFiles(folder.checkpoints, keep=9).load_newest()
    assert found is not None
    model: dict[str, torch.Tensor] = found[1]["stepper"]["model"]
    return model


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def interrupt_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run be asked to stop once it has done so many batches in all."""
    done = iter(range(1, 10_000))
    save_if_due = Engine.save_if_due

    def stop_in_time(engine: Engine) -> None:
        if next(done) == batches:
            engine.stop_requested = lambda: True
        save_if_due(engine)

    monkeypatch.setattr(Engine, "save_if_due", stop_in_time)


EVALUATE = Engine.evaluate


def stop_and_evaluate(engine: Engine) -> Any:
    """Evaluate as the engine does, with a request to stop that comes just before."""
    engine.stop_requested = lambda: True
    return EVALUATE(engine)


def dice_column(folder: RunFolder) -> list[str]:
    with folder.metrics.open() as file:
        return [row["dice"] for row in csv.DictReader(file)]


@pytest.mark.usefixtures("reports")
def test_a_run_leaves_everything_in_its_folder(make_config: Make) -> None:
    folder = train(make_config(trainer={"distances": {"mm": 0.5}}), resume=False, command="again")
    assert {path.name for path in folder.path.iterdir()} == {
        "config.yaml", "environment.json", "log.txt", "metrics.csv", "checkpoints", "validation.json", "report.html",
        "finished.json", "pictures", "sources.json", "distances.json",
    }  # fmt: skip
    with folder.metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert {"train_dice", "train_bce", "valid_loss", "dice", "dice_Pisiform", "data_wait_share"} <= rows[0].keys()
    validation = json.loads(folder.validation.read_text())
    best = load_weights(folder.best_weights)
    assert validation["mean_dice"] == pytest.approx(max(float(row["dice"]) for row in rows), abs=1e-5)
    assert (best.epoch + 1, best.score) == (validation["epoch"], validation["mean_dice"])
    assert "RunStarted" not in folder.log.read_text()
    assert "epoch 2/2" in folder.log.read_text()
    assert page_faults(folder.report.read_text()) == []
    check_distances(folder)


def check_distances(folder: RunFolder) -> None:
    """They are those of the best weights' masks, in the report by class, and not shown of other weights."""
    found, validation = (json.loads(path.read_text()) for path in (folder.distances, folder.validation))
    images, numbers = validation["images"], found["distances"]
    assert (found["epoch"], numbers["unit"], numbers["tolerance"]) == (validation["epoch"], "mm", 2)
    trained = load_trained(folder.best_weights, torch.device("cpu"))
    samples = [sample for sample in find_split(trained.config).valid if sample.name in images]
    table = DistanceTable(BONES, make_ruler(2.0, 0.5))
    for sample, mask in trained.predictor.masks(samples):
        true, size_hw = trained.task.read(sample)[1], (SIDE_PX, SIDE_PX)
        table.rows[sample.name] = distances_of_runs(encode(mask, 29), encode(true, 29), size_hw, table.ruler)
    assert numbers["per_class"] == table.summary()["distances"]["per_class"]
    page = folder.report.read_text()
    assert '<h2 id="distances-1">Validation distances</h2>' in page
    assert f"NSD {numbers['nsd']['mean']:.3f} (" in page
    assert distance_tables(folder, {**validation, "epoch": 9}, found, {}) == []
    with pytest.raises(UserError, match=r"distances\.json: its distances are damaged \(KeyError: 'unit'\)"):
        distance_tables(folder, validation, {**found, "distances": {"mm": 1}}, {})


def test_a_run_whose_distances_cannot_be_measured_has_ended_all_the_same(
    make_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        measure_distances(make_config(trainer={"distances": {}}), RunFolder(tmp_path))
    assert "no distances are measured: " in caplog.text
    assert "best.safetensors: not there yet" in caplog.text


def page_faults(page: str) -> list[str]:
    """What a reader misses in a report: classes without a name in the picture of all, contents that lead nowhere."""
    source = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)[0]
    class_map = base64.b64decode(source).decode()
    unnamed = [bone for bone in BONES if f">{bone}</text>" not in class_map]
    places = re.findall(r"<nav.*?</nav>", page, re.DOTALL)[0]
    lost = [place for place in re.findall(r'href="#([^"]+)"', places) if page.count(f'id="{place}"') != 1]
    return [*unnamed, *lost]


def test_equal_seeds_train_equal_weights_whatever_the_number_of_workers(make_config: Make) -> None:
    runs = [
        train(make_config(run={"name": f"w{workers}"}, data={"workers": workers}), resume=False, command="")
        for workers in (0, 2)
    ]
    assert same(weights_of(runs[0]), weights_of(runs[1]))


@pytest.fixture(scope="module")
def never_interrupted(make_config_in: Make, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with an average of its weights, to compare with runs that are interrupted."""
    config = make_config_in(tmp_path_factory.mktemp("whole"), trainer={"ema_decay": 0.9})
    return train(config, resume=False, command="")


@pytest.mark.parametrize("batches", [1, 4, 6])
def test_a_resumed_run_equals_one_never_interrupted(
    batches: int, never_interrupted: RunFolder, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, options = never_interrupted, {"trainer": {"ema_decay": 0.9}}
    with monkeypatch.context() as patch:
        interrupt_after(batches, patch)
        with pytest.raises(Interrupted):
            train(make_config(run={"name": "parts"}, **options), resume=False, command="go on")
    parts = train(make_config(run={"name": "parts"}, **options), resume=True, command="")
    assert same(weights_of(whole), weights_of(parts))
    assert load_weights(whole.best_weights).score == load_weights(parts.best_weights).score
    assert "Continue with: go on" in parts.log.read_text()


def test_a_run_stopped_while_scoring_scores_anew(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(make_config(run={"name": "whole"}), resume=False, command="")
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "evaluate", stop_and_evaluate)
        with pytest.raises(Interrupted) as stop:
            train(make_config(run={"name": "parts"}), resume=False, command="")
    assert (stop.value.epoch, stop.value.batches_done) == (0, 4)
    parts = train(make_config(run={"name": "parts"}), resume=True, command="")
    assert same(weights_of(whole), weights_of(parts))
    assert dice_column(whole) == dice_column(parts)


def test_a_listener_that_fails_receives_no_more_events_and_the_run_continues(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def broken(event: Event) -> None:
        raise OSError("no route to host")

    emit = emit_to_all(broken, lambda event: heard.append(type(event).__name__))
    for _ in range(2):
        emit(ImageScored(0, 1, 1))
    assert heard == ["ImageScored", "ImageScored"]
    assert [message for message in caplog.messages if "no route to host" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_a_run_that_failed_before_its_first_step_may_be_started_again(make_config: Make) -> None:
    with pytest.raises(UserError, match="nowhere"):
        train(make_config(model={"encoder_weights": "nowhere.safetensors"}), resume=False, command="")
    train(make_config(trainer={"fast_dev_run": True}), resume=False, command="")


def test_early_stopping_ends_a_run(make_config: Make) -> None:
    config = make_config(trainer={"epochs": 6}, early_stopping={"patience": 2, "min_delta": 0.9})
    folder = train(config, resume=False, command="")
    assert "stopped early" in folder.log.read_text()
    with folder.metrics.open() as file:
        done = len(list(csv.DictReader(file)))
    assert done < 6
    train(config, resume=True, command="")
    assert f"nothing left to train, {done} of 6 epochs are done" in folder.log.read_text()


def test_overfitting_one_batch_drives_the_loss_down(make_config: Make) -> None:
    folder = train(
        make_config(trainer={"overfit_batches": 1, "epochs": 12, "evaluate_every": 12}, optimizer={"lr": 1e-2}),
        resume=False,
        command="",
    )
    with folder.metrics.open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_fast_development_run_takes_two_batches(make_config: Make) -> None:
    folder = train(make_config(trainer={"fast_dev_run": True, "epochs": 9}), resume=False, command="")
    assert "4 images to train on, 2 held out; 1 epoch " in folder.log.read_text()


def test_an_existing_run_is_refused_unless_it_is_to_be_replaced(make_config: Make) -> None:
    train(make_config(trainer={"fast_dev_run": True}), resume=False, command="")
    with pytest.raises(UserError, match="exists already"):
        train(make_config(), resume=False, command="")
    train(make_config(trainer={"fast_dev_run": True}, run={"if_exists": "replace"}), resume=False, command="")


def test_a_replaced_run_is_set_aside(make_config: Make) -> None:
    config = make_config(trainer={"fast_dev_run": True}, run={"if_exists": "replace"})
    first = train(config, resume=False, command="")
    (first.path / "notes.txt").write_text("mine")
    train(config, resume=False, command="")
    assert first.path.with_name("tiny.replaced").joinpath("notes.txt").read_text() == "mine"
    assert not (first.path / "notes.txt").exists()


def test_a_folder_that_is_no_run_is_left_alone(make_config: Make, tmp_path: Path) -> None:
    thesis = tmp_path / "runs" / "tiny" / "metrics.csv"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(UserError, match="no run's"):
        train(make_config(run={"if_exists": "replace"}), resume=False, command="")
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"fold": 1}, "fold (was 0, now 1)"),
        ({"optimizer": {"name": "sgd"}}, "optimizer.name (was adamw, now sgd)"),
        ({"transform": {"size_px": 32}}, "transform.size_px (was 64, now 32)"),
    ],
)
def test_a_resume_with_other_settings_is_refused_and_changes_nothing(
    changes: dict[str, Any], key: str, make_config: Make
) -> None:
    folder = train(make_config(trainer={"fast_dev_run": True}), resume=False, command="")
    before = folder.config.read_text()
    with pytest.raises(UserError, match=re.escape(key)):
        train(make_config(trainer={"fast_dev_run": True}, **changes), resume=True, command="")
    assert folder.config.read_text() == before


def test_a_resume_may_train_longer(make_config: Make) -> None:
    train(make_config(trainer={"epochs": 1}), resume=False, command="")
    folder = train(make_config(trainer={"epochs": 2}), resume=True, command="")
    assert len(dice_column(folder)) == 2


def test_resuming_what_left_no_trace_begins_it(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    folder = train(make_config(trainer={"fast_dev_run": True}), resume=True, command="")
    assert "no run of this name yet, so it begins now" in caplog.text
    assert folder.best_weights.exists()


def test_without_data_the_message_says_where_it_goes_and_makes_no_folder(make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.root=.*make demo"):
        train(make_config(data={"root": str(tmp_path / "nothing")}), resume=False, command="")
    assert list(tmp_path.iterdir()) == []


def test_no_patient_is_both_trained_on_and_held_out(make_config: Make) -> None:
    split = find_split(make_config(fold=1))
    assert {s.group for s in split.train}.isdisjoint(s.group for s in split.valid)
    assert len(split.train) + len(split.valid) == 12


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_breaks_the_loss_is_named_and_never_saved(
    workers: int, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Stepper.step

    def break_third(stepper: Stepper, *arguments: Any) -> dict[str, torch.Tensor]:
        losses = step(stepper, *arguments)
        return losses if stepper.steps_done < 3 else {name: loss * math.nan for name, loss in losses.items()}

    monkeypatch.setattr(Stepper, "step", break_third)
    config = make_config(checkpoint={"every_steps": 1}, data={"workers": workers})
    samples = find_split(config).train
    order = np.random.default_rng(np.random.SeedSequence([config.seed, 0])).permutation(len(samples))
    names = ", ".join(samples[index].key for index in order[4:6])
    with pytest.raises(NonFiniteLoss, match=f"in epoch 1, batch 3, after learning from {re.escape(names)}"):
        train(config, resume=False, command="")
    run = RunFolder(Path(config.run.folder) / "tiny")
    assert [path.name for path in StateFiles(run.checkpoints, keep=2).paths()] == [
        "state-00000002.pt",
        "state-00000001.pt",
    ]
    assert f"after learning from {names}" in run.log.read_text()


def test_weights_that_are_not_finite_are_never_saved(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Stepper.step

    def break_weights(stepper: Stepper, *arguments: Any) -> dict[str, torch.Tensor]:
        losses = step(stepper, *arguments)
        if stepper.steps_done == 2:
            next(stepper.train_state.model.parameters()).data.view(-1)[0] = math.inf
        return losses

    monkeypatch.setattr(Stepper, "step", break_weights)
    config = make_config(checkpoint={"every_steps": 1})
    with pytest.raises(NonFiniteLoss, match="network's weights became infinite or not a number in epoch 1, batch 2"):
        train(config, resume=False, command="")
    states = StateFiles(Path(config.run.folder) / "tiny" / "checkpoints", keep=2)
    assert [path.name for path in states.paths()] == ["state-00000001.pt"]


def test_a_loss_that_is_not_finite_ends_the_run_in_a_sentence(make_config: Make) -> None:
    config = make_config(optimizer={"name": "sgd", "lr": 1e30}, trainer={"epochs": 3})
    with pytest.raises(UserError, match="training loss became infinite or not a number in epoch 1, batch"):
        train(config, resume=False, command="")


def test_a_huge_traceback_becomes_an_event_that_services_take() -> None:
    token = "xoxb-" + "1" * 40
    error = RuntimeError(f"{token} {'x' * 24_000_000} {token}")
    trace = traceback_of(error)
    assert len(trace) < 210_000
    assert trace.startswith("(The beginning is in log.txt.)")
    assert trace.endswith("x ***\n")
    assert traceback_of(RuntimeError("short")).endswith("RuntimeError: short\n")
