from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path

import pytest

from services.channel import EventRefused, NotDelivered, QueuedEvent, Refused
from services.delivery import worker as workers
from services.delivery.worker import Worker, supersedes
from tests.services.channels import Diary, epoch, finished, started
from tests.standin import until
from utils.errors import UserError
from utils.events import EpochEnded, Event, ImageScored, StepEnded

LONG_S = 20.0


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(workers, "OPEN_S", 0.05)


def queued(event: Event, name: str) -> QueuedEvent:
    return QueuedEvent(name, 0.0, event)


class Desk:
    """A worker, and what it has noted as delivered."""

    def __init__(self, diary: Diary) -> None:
        self.done: list[str] = []
        self.given_up: list[tuple[str, str]] = []
        self.worker = Worker("diary", diary, self.settle)

    def settle(self, queued: QueuedEvent, given_up: str | None) -> None:
        if given_up is None:
            self.done.append(queued.id)
        else:
            self.given_up.append((queued.id, given_up))

    def enqueue(self, event: Event, name: str) -> None:
        self.worker.enqueue(
            queued(event, name), must_arrive=not isinstance(event, (StepEnded, ImageScored, EpochEnded))
        )

    def finish(self) -> None:
        self.worker.close()
        self.worker.thread.join(LONG_S)
        assert not self.worker.thread.is_alive()


def test_events_arrive_in_order() -> None:
    diary = Diary()
    desk = Desk(diary)
    for name, event in (("a", started()), ("b", epoch(0)), ("c", epoch(1)), ("d", finished())):
        desk.enqueue(event, name)
    desk.worker.start()
    desk.finish()
    assert diary.ids == ["a", "c", "d"], "of two epochs the newer one is worth telling"
    assert desk.done == ["a", "d"]
    assert diary.closed


def test_progress_never_comes_after_what_made_it_out_of_date() -> None:
    diary = Diary()
    desk = Desk(diary)
    desk.enqueue(StepEnded(0, 1, 9, 0.5), "step")
    desk.enqueue(ImageScored(0, 1, 2), "image")
    desk.enqueue(epoch(0, best=True), "best")
    desk.enqueue(epoch(1), "worse")
    desk.enqueue(finished(), "end")
    desk.worker.start()
    desk.finish()
    assert diary.ids == ["best", "worse", "end"]


@pytest.mark.parametrize(
    ("new", "old", "is_out_of_date"),
    [
        (StepEnded(0, 2, 9, None), StepEnded(0, 1, 9, None), True),
        (epoch(0), StepEnded(0, 9, 9, None), True),
        (StepEnded(1, 1, 9, None), epoch(0), False),
        (epoch(1), epoch(0), True),
        (epoch(1), epoch(0, best=True), False),
        (epoch(1, best=True), epoch(0, best=True), True),
        (finished(), epoch(0), False),
    ],
)
def test_what_tells_nothing_any_more(new: Event, old: Event, is_out_of_date: bool) -> None:
    assert supersedes(new, old) is is_out_of_date


@pytest.mark.parametrize("error", [NotDelivered("503"), UserError("services.json: could not be written (disk full).")])
def test_what_must_arrive_is_tried_again_and_progress_is_not(error: Exception) -> None:
    diary = Diary(failures=deque([error, error, error, error]))
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.worker.start()
    until(lambda: desk.done == ["start"])
    diary.failures.append(NotDelivered("503"))
    desk.enqueue(epoch(0), "progress")
    until(lambda: diary.tries == 6)
    desk.enqueue(finished(), "end")
    desk.finish()
    assert diary.ids == ["start", "end"]


def test_three_failures_open_the_breaker_and_a_success_closes_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    diary = Diary(always=NotDelivered("connection refused"))
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.worker.start()
    until(lambda: diary.tries >= 4)
    diary.always = None
    until(lambda: desk.done == ["start"])
    desk.finish()
    said = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "INFO")]
    assert len(said) == 2
    assert "connection refused" in said[0]
    assert "get through again" in said[1]


def test_the_breaker_leaves_a_dead_service_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "OPEN_S", 1000.0)
    diary = Diary(always=NotDelivered("connection refused"))
    desk = Desk(diary)
    desk.worker.start()
    for number in range(50):
        desk.enqueue(started(), f"start {number}")
        time.sleep(0.002)
    until(lambda: desk.worker.failures == 3)
    assert diary.tries == 3
    desk.finish()
    assert diary.tries == 4, "one last try at the end"
    assert desk.done == []


@pytest.mark.parametrize("retry_after_s", [100.0, 7 * 86400.0, float("inf")])
def test_a_service_says_when_it_may_be_asked_again(retry_after_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "OPEN_S", 300.0)
    diary = Diary()
    diary.failures.append(NotDelivered("429", retry_after_s=retry_after_s))
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.worker.start()
    until(lambda: diary.tries == 1)
    time.sleep(0.05)
    assert diary.tries == 1
    assert desk.worker.paused_until_s - time.monotonic() == pytest.approx(min(retry_after_s, 300), abs=5)
    desk.finish()
    assert desk.done == ["start"]


def test_a_refusal_silences_a_channel_until_a_person_has_mended_it(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary(always=Refused("invalid_auth: the token was revoked. Make another."), refresh_every_s=0.001)
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.worker.start()
    until(lambda: desk.worker.is_stopped)
    beats = diary.beats
    desk.enqueue(finished(), "end")
    time.sleep(0.03)
    desk.finish()
    assert (diary.tries, diary.beats - beats, desk.done) == (1, 0, [])
    assert "the token was revoked. Make another." in caplog.text


@pytest.mark.parametrize(
    ("error", "why"),
    [(KeyError("ours"), "KeyError: 'ours'"), (EventRefused("file_uploads_disabled"), "file_uploads_disabled")],
)
@pytest.mark.parametrize("is_flushed", [False, True])
def test_an_event_that_is_never_accepted_makes_way_for_the_others(
    error: Exception, why: str, is_flushed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    diary.failures.extend([error] * 3)
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.enqueue(finished(), "end")
    if is_flushed:
        desk.worker.close()
    desk.worker.start()
    until(lambda: desk.done == ["end"])
    desk.finish()
    assert desk.given_up == [("start", why)]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == f"diary: the message about RunStarted is given up after 3 tries: {why}"


def test_beats_come_between_events() -> None:
    diary = Diary(refresh_every_s=0.005)
    desk = Desk(diary)
    desk.worker.start()
    until(lambda: diary.beats >= 3)
    desk.enqueue(started(), "start")
    until(lambda: diary.ids == ["start"])
    before = diary.beats
    until(lambda: diary.beats > before)
    desk.finish()


def test_a_service_that_hangs_is_not_worth_waiting_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PROMPT_S", 0.02)
    diary = Diary(gate=threading.Event())
    desk = Desk(diary)
    desk.enqueue(started(), "start")
    desk.worker.start()
    until(lambda: not desk.worker.answers_promptly)
    assert diary.gate is not None
    diary.gate.set()
    desk.finish()
    assert desk.done == ["start"]


def test_what_must_arrive_is_never_left_out_of_the_queue() -> None:
    desk = Desk(Diary())
    for number in range(2000):
        desk.enqueue(started(Path("x")), str(number))
        desk.enqueue(StepEnded(0, 1, 9, 0.5), "step")
    assert len(desk.worker.queue) == 2001


def test_a_long_queue_takes_new_events_quickly() -> None:
    desk = Desk(Diary())
    began_s = time.process_time()
    for number in range(20_000):
        desk.enqueue(StepEnded(0, number, 20_000, None), f"step {number}")
        desk.enqueue(finished(), str(number))
    assert time.process_time() - began_s < 5, "searching the whole queue each time takes ten times as long"
