"""What people read of a training that is counted in optimizer steps: never a word of epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.channel import Language, QueuedEvent
from services.delivery.snapshot import Snapshot, snapshot_after, snapshot_as_dict, snapshot_from
from services.delivery.worker import supersedes
from services.mlflow.values import end_tags, metrics_of
from services.sheets.board import board_row
from services.sheets.results import values_of
from services.slack.messages import best_note, fell_note, note_of, resumed_note, run_message
from tests.services.channels import epoch, finished, started
from tests.services.slack.runs import context
from utils.events import Event, ImageScored, RunFailed, RunInterrupted, StartScored, StepEnded
from utils.rounds import Rounds

ROUNDS = Rounds(1000, 400)
STARTED = replace(started(), rounds=ROUNDS)
FIRST = replace(epoch(0, score=0.8, best=True), rounds=ROUNDS)
FINISHED = replace(finished(), rounds=ROUNDS)
STOPPED = RunInterrupted("mine", Path("runs/mine"), 1, 30, "again", steps_done=430, rounds=ROUNDS)
START = StartScored(0.4, 0.7, {"Lunate": 0.7}, 2.0)


def follow(*events: Event) -> Snapshot:
    now = Snapshot()
    for second, event in enumerate(events):
        now = snapshot_after(now, QueuedEvent(str(second), float(second), event))
    return now


def test_a_run_is_followed_through_its_steps() -> None:
    now = follow(STARTED, ImageScored(-1, 1, 4), START)
    assert (now.state, now.score, now.done, now.total, now.best) == ("training", 0.7, 0, 1000, None)
    now = follow(STARTED, START, StepEnded(0, 100, 800, None))
    assert (now.done, now.fraction) == (50, 0.05)
    now = follow(STARTED, START, FIRST)
    assert (now.done, now.best_at) == (400, 400)
    assert now.left_s == pytest.approx(0.6 * 2.5 * 2.0)
    last = replace(epoch(2, score=0.7), rounds=ROUNDS, best_score=0.8, best_epoch=0)
    assert (follow(STARTED, last).done, follow(STARTED, last).fraction) == (1000, 1.0)
    assert (follow(STARTED, FIRST, STOPPED).done, follow(STARTED, FINISHED).done) == (430, 1000)
    assert follow(replace(STARTED, first_epoch=1)).done == 400
    assert snapshot_from(snapshot_as_dict(now)) == now


@pytest.mark.parametrize("language", ["en", "ko"])
def test_slack_speaks_of_steps(language: Language, tmp_path: Path) -> None:
    about, now = context(tmp_path, language=language), follow(STARTED, START, FIRST)
    ends = (FINISHED, replace(FINISHED, stopped_early=True), STOPPED, RunFailed("mine", Path(), "boom", "again"))
    texts = [
        run_message(now, about).in_full,
        resumed_note(replace(STARTED, first_epoch=1), about).text,
        best_note(now, 0.7, about).text,
        *(note.text for event in ends if (note := note_of(event, now, about, None))),
        fell_note(replace(FIRST, score=0.1), 0.7, about, None).text,
    ]
    places = {
        "en": [
            *("400/1000", "at step 400 of 1000", "at step 400", "at step 800, 1000 steps", "since step 800"),
            *("at step 430", "at step 400", "0.7000 at the start to 0.1000 at step 400"),
        ],
        "ko": [
            "400/1000",
            "400/1000 스텝",
            "400 스텝",
            "총 1000 스텝",
            "800 스텝 이후",
            "430 스텝",
            "400 스텝",
            "400 스텝 0.1000",
        ],
    }
    for text, place in zip(texts, places[language], strict=True):
        assert place in text
        assert not any(word in text.lower() for word in ("epoch", "에폭"))


def test_the_sheet_says_that_it_means_steps(tmp_path: Path) -> None:
    about, now = context(tmp_path), follow(STARTED, FIRST)
    assert board_row(about, now, 0.0, None, lambda at_s: at_s)["epoch"] == "step 400/1000"
    row = values_of(about.facts, follow(STARTED, FIRST, FINISHED), "jun", "now")
    assert (row["epochs"], row["best epoch"]) == ("1000 steps", "step 800")


def test_mlflow_is_given_steps(tmp_path: Path) -> None:
    metric = context(tmp_path).facts.metric
    assert metrics_of(FIRST, metric)["best_step"] == 400
    assert "best_epoch" not in metrics_of(FIRST, metric)
    start = metrics_of(START, metric)
    assert (start[metric.name], start["valid/loss"], start[f"{metric.name}/Lunate"]) == (0.7, 0.4, 0.7)
    assert end_tags(FINISHED)["steps_done"] == "1000"
    assert "epochs_done" not in end_tags(FINISHED)


def test_no_newer_epoch_replaces_the_news_of_a_fall() -> None:
    assert supersedes(epoch(1), epoch(0))
    assert not supersedes(epoch(1), replace(epoch(0), fell_from=0.7))
