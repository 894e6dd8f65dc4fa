"""A training may be counted in optimizer steps, and keep the weights of some of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from configs.schema import Config
from scheduler import SCHEDULERS
from scheduler.schedule import follow
from tests.trainer.runs.test_run import interrupt_after, same, weights_of
from trainer.records.checkpoint import load_state, load_weights
from trainer.records.folder import RunFolder
from trainer.runs.folds import is_finished
from trainer.runs.run import train
from trainer.runs.stored_config import keep_length
from trainer.training.engine import NonFiniteLoss
from trainer.training.stepper import Stepper
from utils.errors import Interrupted, UserError

Make = Callable[..., Config]
BY_STEPS = {"epochs": None, "steps": 5, "evaluate_every_steps": 2, "accumulate": 2}


def rows_of(run: RunFolder) -> list[dict[str, str]]:
    with run.metrics.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("reports")
def test_a_run_by_steps_is_scored_and_kept_at_its_steps(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    kept = {"keep_every_steps": 2, "keep": 9, "every_steps": 1}
    config = make_config(trainer={**BY_STEPS, "ema_decay": 0.5}, checkpoint=kept)
    run = train(config, resume=False, command="")
    rows = rows_of(run)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "2"), ("2", "4"), ("3", "5")]
    assert [path.name for path in run.kept_weights] == ["step-00000002.safetensors", "step-00000004.safetensors"]
    for step, path in zip((2, 4), run.kept_weights, strict=True):
        average = load_state(run.checkpoints / f"state-{step:08d}.pt")["stepper"]["ema"]["model"]
        weights = load_weights(path)
        assert same(dict(weights.tensors), average)
        assert (weights.step, weights.metric) == (step, "dice")
        assert weights.score == pytest.approx(float(rows[step // 2 - 1]["dice"]), rel=1e-4)
    best = load_weights(run.best_weights)
    finished, validation = (json.loads(path.read_text()) for path in (run.finished, run.validation))
    assert finished["steps_done"] == 5
    assert best.step == finished["best_step"] == validation["step"]
    assert "5 steps on" in caplog.text
    assert any(f"best Dice {best.score:.4f} at step {best.step}" in message for message in caplog.messages)
    page = run.report.read_text()
    assert f"best step {best.step}" in page
    assert "<b>5</b><span>steps" in page
    assert not [line for line in [*caplog.messages, page.split('<h2 id="commands"')[0]] if "epoch" in line.lower()]


def test_weights_between_two_evaluations_are_kept_without_a_score(make_config: Make) -> None:
    run = train(make_config(checkpoint={"keep_every_steps": 3}, trainer={"epochs": 1}), resume=False, command="")
    (path,) = run.kept_weights
    assert (load_weights(path).score, load_weights(path).step) == (None, 3)
    assert "step" not in rows_of(run)[0]
    with pytest.raises(
        UserError, match=r"keep_every_steps=9: the run ends after 4 optimizer steps, so no weights would"
    ):
        train(make_config(checkpoint={"keep_every_steps": 9}, trainer={"epochs": 1}), resume=True, command="")


def test_a_run_by_steps_that_is_stopped_inside_a_round_loses_nothing(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    plateau = {"name": "reduce_on_plateau", "patience": 0, "min_delta": 1.0}
    more = {"trainer": BY_STEPS, "scheduler": plateau, "checkpoint": {"keep_every_steps": 3}}
    whole = train(make_config(run={"name": "whole"}, **more), resume=False, command="")
    config = make_config(run={"name": "parts"}, **more)
    interrupt_after(3, monkeypatch)
    with pytest.raises(Interrupted):
        train(config, resume=False, command="")
    monkeypatch.undo()
    assert "stopped after 3 of 5 steps" in caplog.text
    parts = train(config, resume=True, command="")
    assert "continuing after 3 of 5 steps" in caplog.text
    assert same(weights_of(whole), weights_of(parts))
    for one, other in zip(whole.kept_weights, parts.kept_weights, strict=True):
        assert same(dict(load_weights(one).tensors), dict(load_weights(other).tensors))


def test_a_finished_run_by_steps_may_go_on_only_from_a_whole_round(make_config: Make) -> None:
    def at(steps: int, **more: Any) -> Config:
        return make_config(trainer={"epochs": None, "steps": steps, "evaluate_every_steps": 2, **more})

    run = train(at(4), resume=False, command="")
    assert is_finished(run, at(4))
    assert not is_finished(run, at(5))
    assert keep_length(at(2), [run], []).trainer.steps == 4
    with pytest.raises(UserError, match=r"trainer\.steps=2: this run was begun with 4, and its learning rates"):
        train(at(2), resume=True, command="")
    with pytest.raises(UserError, match=r"trainer\.epochs=2: this run was begun with trainer\.steps=4"):
        train(make_config(), resume=True, command="")
    train(at(5), resume=True, command="")
    assert [row["step"] for row in rows_of(run)] == ["2", "4", "5"]
    with pytest.raises(UserError, match=r"trainer\.steps=8: this run has ended at step 5, which is no multiple of"):
        train(at(8), resume=True, command="")


def test_a_loss_that_is_not_finite_names_its_step(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Stepper.step

    def spoilt(self: Stepper, images: Tensor, masks: Tensor, batch: int, batches: int) -> dict[str, Tensor]:
        parts = step(self, images, masks, batch, batches)
        return {name: part * (torch.nan if batch == 4 else 1) for name, part in parts.items()}

    monkeypatch.setattr(Stepper, "step", spoilt)
    with pytest.raises(NonFiniteLoss, match=r"became infinite or not a number at step 3, after learning from"):
        train(make_config(trainer={**BY_STEPS, "evaluate_every_steps": 5}), resume=False, command="")


def test_a_schedule_that_moves_by_epochs_is_refused(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULERS, "halving", lambda optimizer, horizon: follow(optimizer, lambda n: 0.5**n, "epoch"))
    with pytest.raises(
        UserError, match=r"scheduler: 'halving' moves at the end of an epoch, but trainer\.steps counts"
    ):
        train(make_config(trainer=BY_STEPS, scheduler="halving"), resume=False, command="")
