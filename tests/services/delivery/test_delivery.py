"""What follows a fault hours later: a resume, a flush, another host, another clock. The channel is a diary."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.channel import Context, EventRefused, Kind, NotDelivered, QueuedEvent, Refused
from services.delivery import delivery as deliveries
from services.delivery import notifier_process, worker
from services.delivery.delivery import Delivery, open_delivery
from services.delivery.notifier_process import follow, record_loss
from services.delivery.outbox import FILE, LOCK, OutboxReader, OutboxWriter
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from tests.services.channels import Diary, epoch, facts, finished, started
from utils.events import Event, RunFailed, StepEnded
from utils.lock import Busy, locked

LONG_S = 20.0


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> Diary:
    """The one channel that there is; each process builds it anew."""
    kept = Diary()

    def build(context: Context, **settings: Any) -> Diary:
        return kept

    monkeypatch.setattr(deliveries, "CHANNELS", {"diary": Kind(build, lambda secrets, settings: None)})
    monkeypatch.setattr(worker, "PAUSES_S", (0.0, 0.0))
    return kept


class Session:
    """One start or resume of a run on a host with its own clock."""

    def __init__(self, folder: Path, at_s: float = 0.0) -> None:
        self.outbox, self.at_s = OutboxWriter(facts(folder), ["diary"]), at_s
        self.seq = self.outbox.session

    def emit(self, *events: Event) -> None:
        for event in events:
            self.seq += 1
            queued = QueuedEvent(f"{type(event).__name__}-{self.seq}", self.at_s, event, self.seq)
            self.outbox.write([self.outbox.entry_of(queued)], to_disk=False)

    @property
    def opening(self) -> dict[str, Any]:
        return {"session": self.outbox.session, "channels": ["diary"], "settings": {}}


def deliver(folder: Path, session: int | None = None, **settings: Any) -> Delivery:
    """Deliver what the folder has, as a process of its own."""
    with open_delivery(facts(folder), settings, Secrets(folder / ".env"), session=session) as delivery:
        delivery.close(LONG_S)
    return delivery


def test_a_resumed_run_sends_what_is_left_in_the_order_of_the_numbers(tmp_path: Path, diary: Diary) -> None:
    first = Session(tmp_path, at_s=9000.0)
    first.emit(started(), finished())
    diary.always = NotDelivered("503")
    deliver(tmp_path, first.outbox.session)
    diary.always = None
    second = Session(tmp_path, at_s=100.0)  # another host, whose clock is hours behind
    second.emit(started(), finished())
    deliver(tmp_path, second.outbox.session)
    assert diary.ids == ["RunStarted-2", "RunFinished-3", "RunStarted-5", "RunFinished-6"]
    assert not (tmp_path / FILE).exists()
    Session(tmp_path).emit(finished())
    deliver(tmp_path)
    assert diary.ids[4:] == ["RunFinished-8"], "what has arrived does not arrive again"


def test_a_refusal_is_kept_for_the_day_on_which_it_is_fixed(tmp_path: Path, diary: Diary) -> None:
    Session(tmp_path).emit(started(), finished())
    diary.always = Refused("channel_not_found: there is no channel 'rnus'. Correct services.slack.channel.")
    assert deliver(tmp_path).channels_left == {"diary": 2}
    diary.always = None
    assert not deliver(tmp_path).channels_left
    assert diary.ids == ["RunStarted-2", "RunFinished-3"]


def test_what_a_service_never_accepts_is_recorded_and_does_not_fill_the_outbox(tmp_path: Path, diary: Diary) -> None:
    Session(tmp_path).emit(started(), finished())
    diary.failures = deque([EventRefused("strange_code")] * 3)
    deliver(tmp_path)
    assert diary.ids == ["RunFinished-3"]
    assert not (tmp_path / FILE).exists()
    (given_up,) = RunMemory(tmp_path).block("diary").get("given_up")
    assert given_up == {"seq": 2, "event": "RunStarted", "why": "strange_code"}


def test_progress_of_an_earlier_session_is_passed_over(tmp_path: Path, diary: Diary) -> None:
    Session(tmp_path).emit(started(), epoch(0), finished())
    second = Session(tmp_path)
    second.emit(started(), epoch(1))
    deliver(tmp_path, second.outbox.session)
    assert diary.ids == ["RunStarted-2", "RunFinished-4", "RunStarted-6", "EpochEnded-7"]


def test_a_channel_that_was_switched_off_keeps_no_outbox(tmp_path: Path, diary: Diary) -> None:
    Session(tmp_path).emit(started())
    assert deliver(tmp_path, diary=None).channels_left == {"diary": 1}, "it cannot be used today"
    deliver(tmp_path, diary={"enabled": False})
    assert not (tmp_path / FILE).exists()
    assert diary.ids == []


@pytest.fixture
def delivery(tmp_path: Path, diary: Diary) -> Iterator[Delivery]:
    with open_delivery(facts(tmp_path), {}, Secrets(tmp_path / ".env"), session=1) as delivery:
        yield delivery
        delivery.close(LONG_S)


def test_a_step_that_comes_after_the_end_changes_nothing(tmp_path: Path, diary: Diary, delivery: Delivery) -> None:
    session = Session(tmp_path)
    session.emit(started())
    step = QueuedEvent("", 0.0, StepEnded(0, 1, 9, 0.5), session.seq)
    session.emit(finished())
    line = {"seq": step.seq, "id": "", "at_s": 0.0, "kind": "StepEnded", "epoch": 0, "step": 1, "steps": 9, "loss": 0.5}
    assert follow(iter([line, {"close": True}]), delivery)
    delivery.close(LONG_S)
    assert diary.ids == ["RunStarted-2", "RunFinished-3"]


def test_one_process_delivers_at_a_time(tmp_path: Path, diary: Diary) -> None:
    Session(tmp_path).emit(started())
    with locked(tmp_path / LOCK, "busy"), pytest.raises(Busy, match="is being delivered"):
        deliver(tmp_path)
    assert (tmp_path / FILE).exists()


def test_a_loss_is_recorded_once_and_not_after_an_end_or_a_resume(tmp_path: Path) -> None:
    first = Session(tmp_path)
    first.emit(started(), epoch(0))
    lost = record_loss(facts(tmp_path), first.opening)
    assert lost is not None
    assert isinstance(lost.queued.event, RunFailed)
    assert (lost.queued.event.fault, lost.queued.seq, lost.channels) == ("lost", 4, frozenset({"diary"}))
    assert OutboxReader(tmp_path).read_new()[-1] == lost
    assert record_loss(facts(tmp_path), first.opening) is None

    second = Session(tmp_path)
    second.emit(started())
    assert record_loss(facts(tmp_path), first.opening) is None
    second.emit(finished())
    assert record_loss(facts(tmp_path), second.opening) is None


def test_a_loss_of_a_session_comes_before_the_next_one(tmp_path: Path) -> None:
    first = Session(tmp_path)
    first.emit(started())
    second = Session(tmp_path)
    lost = record_loss(facts(tmp_path), first.opening)
    second.emit(started())
    assert lost is not None
    assert [entry.queued.seq for entry in OutboxReader(tmp_path).read_new()] == [2, 3, 4]


def test_the_notifier_process_waits_for_its_predecessor_as_long_as_the_run_goes_on(
    tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifier_process, "PREDECESSOR_S", 0.01)
    session, asked = Session(tmp_path), []
    session.emit(started())
    opening = {**session.opening, "facts": {}, "env": str(tmp_path / ".env")}
    monkeypatch.setattr(notifier_process, "facts_from", lambda _: facts(tmp_path))

    def goes_on() -> bool:
        asked.append(1)
        return len(asked) < 3

    with locked(tmp_path / LOCK, "busy"):
        notifier_process.serve(iter([opening]), None, goes_on)  # type: ignore[arg-type]
    assert len(asked) == 3
    assert "the messages of this run wait in its folder" in caplog.text
    last = OutboxReader(tmp_path).read_new()[-1].queued.event
    assert isinstance(last, RunFailed), "the loss is on disk"


def test_a_run_in_a_folder_of_the_same_name_is_another_run(tmp_path: Path, diary: Diary) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with open_delivery(facts(folder), {}, Secrets(tmp_path / ".env"), session=1) as delivery:
        folder.rename(tmp_path / "mine.replaced")
        folder.mkdir()
        Session(folder).emit(started(), finished())
        delivery.look()
        delivery.close(LONG_S)
    assert diary.ids == []
    assert len(OutboxReader(folder).read_new()) == 2
