"""TensorBoard's files: the numbers of each epoch once, also after a resume, and no secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.trackers import TRACKERS
from services.trackers.tensor_board import read_points
from tests.services.channels import epoch, facts, finished, started
from utils.errors import UserError
from utils.events import RunInterrupted, StartScored
from utils.rounds import Rounds

pytest.importorskip("tensorboard")


def scores(folder: Path) -> list[tuple[int, float]]:
    points = [point for point in read_points(folder / "tensorboard") if point.name == "dice"]
    return sorted((point.step, round(point.value, 4)) for point in points)


def test_an_epochs_numbers_are_drawn_at_its_count(tmp_path: Path) -> None:
    tracker = TRACKERS["tensorboard"](facts(tmp_path))
    start = StartScored(0.9, 0.125, {"Lunate": 0.25}, 1.0)
    for event in (started(tmp_path), start, epoch(0, score=0.25), epoch(1, score=None), finished(tmp_path)):
        tracker(event)
    assert scores(tmp_path) == [(0, 0.125), (1, 0.25)]
    found = {(point.name, point.step): point.value for point in read_points(tmp_path / "tensorboard")}
    assert found["train/loss", 2] == pytest.approx(0.3)
    assert found["dice/Lunate", 1] == 0.5
    assert found["lr/all", 1] == pytest.approx(1e-3)


def test_a_resumed_run_has_each_point_once_and_none_of_the_epochs_that_were_lost(tmp_path: Path) -> None:
    """It was killed after the third epoch, whose state was not saved, and while it wrote the file."""
    first = TRACKERS["tensorboard"](facts(tmp_path))
    for event in (started(tmp_path), epoch(0, score=0.25), epoch(1, score=0.5), epoch(2, score=0.75)):
        first(event)
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    (tmp_path / "tensorboard" / "notes.txt").write_text("of a user")
    again = TRACKERS["tensorboard"](facts(tmp_path))
    again(replace(started(tmp_path), first_epoch=2))
    assert scores(tmp_path) == [(1, 0.25), (2, 0.5)]
    again(epoch(2, score=0.875))
    again(finished(tmp_path))
    assert scores(tmp_path) == [(1, 0.25), (2, 0.5), (3, 0.875)]
    files = [path for path in (tmp_path / "tensorboard").iterdir() if path.name.startswith("events")]
    assert len(files) == 1
    assert (tmp_path / "tensorboard" / "notes.txt").exists()


def test_a_training_in_steps_is_drawn_in_steps(tmp_path: Path) -> None:
    rounds = Rounds(1000, 400)
    tracker = TRACKERS["tensorboard"](facts(tmp_path))
    stop = RunInterrupted("mine", tmp_path, 1, 0, "python train.py")
    for event in (replace(started(tmp_path), rounds=rounds), replace(epoch(0), rounds=rounds), stop):
        tracker(event)
    assert scores(tmp_path) == [(400, 0.5)]


def test_no_secret_of_the_config_is_written(tmp_path: Path) -> None:
    secret = "user:" + "pass" * 4
    tracker = TRACKERS["tensorboard"](facts(tmp_path, config={"data": {"root": f"https://{secret}@host/x"}}))
    for event in (started(tmp_path), finished(tmp_path)):
        tracker(event)
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert b"https://***@host/x" in file.read_bytes()
    assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_named_with_its_requirements(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.trackers.shared.find_spec", lambda _: None)
    expected = rf"the package {name} is not installed\. Say: pip install -r requirements-{name}\.txt"
    with pytest.raises(UserError, match=expected):
        TRACKERS[name](None)
