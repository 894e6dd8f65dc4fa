"""Training from a Python program: what it takes, what it returns, and how it is stopped and continued."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import carpus
from configs.loading.load import as_dict, dump
from configs.schema import Config
from trainer.records.checkpoint import StateFiles
from trainer.records.folder import RunFolder
from trainer.runs.from_python import read_config, train_config
from utils.errors import UserError
from utils.events import EpochEnded, Event, RunFinished, RunInterrupted, StepEnded

Make = Callable[..., Config]


def plain(config: Config) -> dict[str, Any]:
    values = as_dict(config)
    return {name: values[name] for name in ("run", "data", "transform", "model", "optimizer", "trainer", "services")}


def test_a_training_returns_its_folder_score_and_tables_and_calls_back(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "다른 곳"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    values, events = plain(make_config(trainer={"epochs": 1})), list[Event]()
    values["run"]["folder"] = "내 runs"
    trained = carpus.train(values, ["fold=1"], callbacks=[events.append])
    assert trained.finished
    assert trained.folder == elsewhere / "내 runs" / "tiny"
    assert [event.score for event in events if isinstance(event, EpochEnded)] == [pytest.approx(trained.best_score)]
    assert isinstance(events[-2], RunFinished)
    assert trained.metrics["dice"].tolist() == [pytest.approx(trained.best_score, abs=1e-5)]
    assert "fold: 1" in (trained.folder / "config.yaml").read_text()
    with pytest.raises(UserError, match=r"tiny: this run exists already\."):
        carpus.train(values, "fold=1")


class StopAfter:
    """A callback that asks to stop after so many batches; with `by_signal` it presses Ctrl-C then."""

    def __init__(self, batches: int, *, by_signal: bool = False) -> None:
        self.batches, self.by_signal, self.events = batches, by_signal, list[Event]()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, StepEnded):
            self.batches -= 1
            if self.batches == 0 and self.by_signal:
                os.kill(os.getpid(), signal.SIGINT)

    def stop_requested(self) -> bool:
        return self.batches <= 0 and not self.by_signal


def test_a_stopped_training_continues_to_the_same_weights(make_config: Make, tmp_path: Path) -> None:
    whole = carpus.train(make_config(run={"name": "whole"}))
    (tmp_path / "mine.yaml").write_text(dump(make_config(run={"name": "parts"})))
    ctrl_c, callback = StopAfter(1, by_signal=True), StopAfter(2)
    with pytest.raises(KeyboardInterrupt, match=r"saved; continue with carpus\.train\('.*parts', resume=True\)"):
        carpus.train(tmp_path / "mine.yaml", callbacks=[ctrl_c])
    assert isinstance(ctrl_c.events[-1], RunInterrupted)
    stopped = carpus.train(str(tmp_path / "mine.yaml"), resume=True, callbacks=[callback])
    assert not stopped.finished
    resumed = carpus.train(stopped.folder, resume=True)
    assert resumed.finished
    assert states_of(whole) == states_of(resumed)
    assert resumed.best_score == whole.best_score


def states_of(trained: carpus.Training) -> dict[str, list[float]]:
    """The weights after the last step."""
    found = StateFiles(RunFolder(trained.folder).checkpoints, keep=9).load_newest()
    assert found is not None
    return {name: tensor.flatten().tolist() for name, tensor in found[1]["stepper"]["model"].items()}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"trainer": {"epoch": 1}}, r"config: trainer\.epoch: unknown key\. Did you mean 'epochs'"),
        ({"model": {"name": "unet", "encoder": "resnet1"}}, r"config: model\.encoder"),
        ("none.yaml", r"none\.yaml"),
        (".", r"is a folder\. Name a config, or continue the run in it with resume=True"),
    ],
)
def test_a_fault_is_a_sentence(given: str | Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        carpus.train(given)


def test_a_callback_that_fails_does_not_end_the_run(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Event) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.WARNING):
        assert carpus.train(make_config(trainer={"epochs": 1}), callbacks=[fail]).finished
    assert "function: receives no more events after an error" in caplog.text


def test_callbacks_are_refused_if_other_machines_train(make_config: Make) -> None:
    with pytest.raises(UserError, match=r"callbacks: launcher=ray trains in other processes\."):
        train_config(make_config(launcher="ray"), [print], resume=False)


def test_a_config_is_taken_as_it_is_or_with_changes(make_config: Make) -> None:
    config = make_config()
    assert read_config(config, (), resume=False) is config
    assert read_config(config, ["seed=7"], resume=False).seed == 7
