from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.channel import QueuedEvent, occasion_of
from services.delivery.run_memory import RunMemory
from services.delivery.snapshot import Snapshot, snapshot_after
from services.texts import duration
from services.texts.table import TEXTS
from tests.services.channels import epoch, finished, started
from utils.events import Event, FoldsJoined, ImageScored, ReportWritten, RunFailed, RunInterrupted, StepEnded

FOLDER = Path("runs/mine")


def follow(*events: Event) -> Snapshot:
    now = Snapshot()
    for second, event in enumerate(events):
        now = snapshot_after(now, QueuedEvent(str(second), float(second), event))
    return now


def test_a_run_is_followed_through_an_epoch() -> None:
    now = follow(started(epochs=4), StepEnded(0, 5, 10, 0.7), StepEnded(0, 6, 10, None))
    assert (now.state, now.epoch, now.epochs, now.loss) == ("training", 1, 4, 0.7)
    assert now.fraction == pytest.approx(0.6 / 4)
    assert follow(started(), ImageScored(0, 1, 4)).state == "scoring"


def test_the_best_epoch_stays_when_a_worse_one_follows() -> None:
    now = follow(started(), epoch(0, score=0.8, best=True), replace(epoch(1, score=0.7), best=0.8))
    assert (now.score, now.best, now.best_epoch, dict(now.score_per_class)) == (0.7, 0.8, 1, {"Lunate": 0.5})


def test_an_event_that_knows_a_better_epoch_replaces_the_one_that_was_seen() -> None:
    missed = replace(epoch(2, score=0.7), best_score=0.9, best_epoch=1)
    now = follow(started(), epoch(0, score=0.5, best=True), missed)
    assert (now.score, now.best, now.best_epoch, dict(now.score_per_class)) == (0.7, 0.9, 2, {})
    now = follow(started(), epoch(0, score=0.5, best=True), replace(finished(), best=0.2, best_score=0.9, best_epoch=1))
    assert (now.best, now.best_epoch, dict(now.score_per_class)) == (0.9, 2, {}), "the loss decides: best is a loss"


def test_the_time_left_follows_the_last_epoch() -> None:
    now = follow(started(epochs=5), epoch(1, epochs=5))
    assert now.left_s == pytest.approx(3 * 2.0)
    assert follow(started(epochs=5), epoch(1, epochs=5), finished()).left_s is None


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (finished(), "done"),
        (replace(finished(), stopped_early=True), "stopped_early"),
        (RunInterrupted("mine", FOLDER, 1, 2, "again", "SIGTERM"), "interrupted"),
        (RunFailed("mine", FOLDER, "why", fault="memory"), "failed"),
        (RunFailed("mine", FOLDER, "why", fault="lost"), "lost"),
        (FoldsJoined("mine", FOLDER, 3, 0.9, 0.01, FOLDER / "crossval.html"), "done"),
    ],
)
def test_every_end_has_its_own_word_in_both_languages(event: Event, state: str) -> None:
    now = follow(started(), epoch(0), event)
    assert now.state == state
    assert now.is_over
    assert len(set(TEXTS[state])) == 2


def test_a_resumed_run_starts_where_it_was_and_forgets_why_it_ended() -> None:
    failed = RunFailed("mine", FOLDER, "why", fault="memory")
    now = follow(
        started(epochs=4), epoch(0, score=0.8, best=True, epochs=4), failed, replace(started(epochs=4), first_epoch=2)
    )
    assert (now.state, now.epoch, now.fraction, now.best, now.reason) == ("training", 3, 0.5, 0.8, "")


def test_a_report_changes_nothing_but_what_it_brings() -> None:
    report = ReportWritten("mine", FOLDER, FOLDER / "report.html", {"Lunate": 0.6})
    now = follow(started(), epoch(0, best=True), finished(), report)
    assert (now.state, dict(now.score_per_class)) == ("done", {"Lunate": 0.6})


def test_occasions() -> None:
    assert occasion_of(epoch(0, best=True)) == "best"
    assert occasion_of(epoch(0)) == occasion_of(StepEnded(0, 1, 2, None)) == "progress"
    assert occasion_of(RunInterrupted("mine", FOLDER, 1, 2, "again")) == "error"


def test_durations_are_said_in_two_units() -> None:
    assert [duration("en", seconds) for seconds in (40, 725, 7500)] == ["40 s", "12 min", "2 h 05 min"]
    assert [duration("ko", seconds) for seconds in (40, 725, 7500)] == ["40초", "12분", "2시간 05분"]


def test_what_a_channel_remembers_is_there_for_the_next_process(tmp_path: Path) -> None:
    RunMemory(tmp_path).block("slack").set(ts="1.2", channel="C1")
    RunMemory(tmp_path).block("slack").set(ts="3.4")
    again = RunMemory(tmp_path)
    assert (again.block("slack").get("ts"), again.block("slack").get("channel")) == ("3.4", "C1")
    assert again.block("kakao").get("ts") is None


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text('{"slack": {"ts": ')
    assert RunMemory(tmp_path).block("slack").get("ts") is None
