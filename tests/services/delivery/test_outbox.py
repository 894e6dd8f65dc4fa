from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.channel import QueuedEvent
from services.delivery.codec import event_as_dict, event_from, facts_as_dict, facts_from, line_of
from services.delivery.outbox import Outbox, open_outbox
from tests.root import ROOT
from tests.services.channels import epoch, facts, finished, started
from utils.events import Event, FoldsJoined, ImageScored, ReportWritten, RunFailed, RunInterrupted, StepEnded

EVENTS: tuple[Event, ...] = (
    started(),
    epoch(1, best=True),
    finished(),
    StepEnded(0, 1, 9, None),
    ImageScored(0, 1, 2),
    RunInterrupted("mine", Path("runs/mine"), 1, 2, "python train.py --resume", "SIGTERM"),
    RunFailed("mine", Path("runs/mine"), "메모리", "python train.py", "memory", "Traceback\n  x"),
    ReportWritten("mine", Path("runs/mine"), Path("r.html"), {"Lunate": 0.5}, {"worst": Path("a.jpg")}),
    FoldsJoined("mine", Path("runs/mine"), 3, 0.9, None, Path("c.html"), {"Lunate": 0.5}),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_from_its_line(event: Event) -> None:
    queued = QueuedEvent("id", 12.5, event)
    assert event_from(json.loads(line_of(event_as_dict(queued)))) == queued


def test_half_a_character_stops_no_event() -> None:
    queued = QueuedEvent("id", 12.5, RunFailed("mine", Path("runs/mine"), "file \ud800.png"))
    back = event_from(json.loads(line_of(event_as_dict(queued)))).event
    assert isinstance(back, RunFailed)
    assert back.reason == "file ?.png"


def test_facts_come_back(tmp_path: Path) -> None:
    assert facts_from(facts_as_dict(facts(tmp_path))) == facts(tmp_path)


@pytest.mark.parametrize("values", [{}, {"id": "a", "at_s": 0, "kind": "Coffee"}, {"id": "a", "at_s": 0, "kind": []}])
def test_what_is_no_event_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no event"):
        event_from(values)


def test_what_is_delivered_leaves_no_file(tmp_path: Path) -> None:
    with open_outbox(tmp_path) as outbox:
        outbox.add(QueuedEvent("a", 0.0, started()), ["slack", "kakao"])
        outbox.done("a", "slack")
        assert (tmp_path / "outbox.jsonl").exists()
        outbox.done("a", "kakao")
    assert not (tmp_path / "outbox.jsonl").exists()


def test_a_kill_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    killed = Outbox(tmp_path)
    killed.add(QueuedEvent("a", 1.0, started()), ["slack", "kakao"])
    killed.add(QueuedEvent("b", 2.0, finished()), ["slack"])
    killed.done("a", "slack")
    assert killed.file is not None
    killed.file.close()
    with (tmp_path / "outbox.jsonl").open("ab") as file:
        file.write(b'{"id": "c", "at_s"')
    with open_outbox(tmp_path) as outbox:
        assert outbox.waiting_for("slack") == [QueuedEvent("b", 2.0, finished())]
        assert outbox.waiting_for("kakao") == [QueuedEvent("a", 1.0, started())]
        assert outbox.channels == {"slack", "kakao"}
    lines = (tmp_path / "outbox.jsonl").read_text().splitlines()
    assert len(lines) == 2, "what is delivered, and what is damaged, is gone from the file"


def test_an_event_is_written_once(tmp_path: Path) -> None:
    with open_outbox(tmp_path) as outbox:
        outbox.add(QueuedEvent("a", 1.0, started()), ["slack"])
        outbox.add(QueuedEvent("a", 1.0, started()), ["slack"])
        assert len(outbox.waiting_for("slack")) == 1


def test_one_process_delivers_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from services.delivery.outbox import open_outbox\n"
        "from utils.lock import Busy\n"
        "try:\n"
        "    with open_outbox(Path(sys.argv[1])): print('open')\n"
        "except Busy: print('busy')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with open_outbox(tmp_path):
        assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "busy\n"
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "open\n"


def test_a_folder_that_was_moved_meanwhile_gets_no_new_file(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with open_outbox(folder) as outbox:
        outbox.add(QueuedEvent("a", 1.0, started()), ["slack"])
        folder.rename(tmp_path / "mine.replaced")
        folder.mkdir()
    assert list(folder.iterdir()) == []
    assert (tmp_path / "mine.replaced" / "outbox.jsonl").exists()


def test_a_disk_that_refuses_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path / "missing")
    for name in ("a", "b"):
        outbox.add(QueuedEvent(name, 1.0, started()), ["slack"])
    assert len(caplog.records) == 1
    assert [queued.id for queued in outbox.waiting_for("slack")] == ["a", "b"]
