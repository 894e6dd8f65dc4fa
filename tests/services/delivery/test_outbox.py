from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from services.channel import QueuedEvent
from services.delivery import outbox as outboxes
from services.delivery.codec import event_as_dict, event_from, facts_from, line_of
from services.delivery.outbox import FILE, Entry, OutboxReader, OutboxWriter, append_lines, last_number, tidy
from services.delivery.run_memory import RunMemory
from tests.root import ROOT
from tests.services.channels import epoch, facts, finished, started
from utils.events import (
    Event,
    FoldsJoined,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunInterrupted,
    StartScored,
    StepEnded,
)
from utils.rounds import Rounds

EVENTS: tuple[Event, ...] = (
    started(),
    epoch(1, best=True),
    finished(),
    StepEnded(0, 1, 9, None),
    ImageScored(0, 1, 2),
    RunInterrupted("mine", Path("runs/mine"), 1, 2, "python train.py --resume", "SIGTERM"),
    RunInterrupted("mine", Path("runs/mine"), 1, 2, "again", steps_done=9, rounds=Rounds(20, 5)),
    StartScored(0.5, 0.7, {"Lunate": 0.7}, 2.5),
    RunFailed("mine", Path("runs/mine"), "메모리", "python train.py", "memory", "Traceback\n  x"),
    ReportWritten("mine", Path("runs/mine"), Path("r.html"), {"Lunate": 0.5}, {"worst": Path("a.jpg")}),
    FoldsJoined("mine", Path("runs/mine"), 3, 0.9, None, Path("c.html"), {"Lunate": 0.5}),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_from_its_line(event: Event) -> None:
    queued = QueuedEvent("id", 12.5, event, 7)
    assert event_from(json.loads(line_of(event_as_dict(queued)))) == queued


def test_half_a_character_stops_no_event() -> None:
    queued = QueuedEvent("id", 12.5, RunFailed("mine", Path("runs/mine"), "file \ud800.png"))
    back = event_from(json.loads(line_of(event_as_dict(queued)))).event
    assert isinstance(back, RunFailed)
    assert back.reason == "file ?.png"


def test_facts_come_back(tmp_path: Path) -> None:
    assert facts_from(asdict(facts(tmp_path))) == facts(tmp_path)


@pytest.mark.parametrize("values", [{}, {"id": "a", "at_s": 0, "kind": "Coffee"}, {"id": "a", "at_s": 0, "kind": []}])
def test_what_is_no_event_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no event"):
        event_from(values)


def writer(folder: Path, *channels: str) -> OutboxWriter:
    return OutboxWriter(facts(folder), channels or ("slack",))


def put(outbox: OutboxWriter, *events: Event) -> None:
    """Append events with the next numbers."""
    first = last_number(outbox.folder) + 1
    for seq, event in enumerate(events, max(first, outbox.session + 1)):
        outbox.write([outbox.entry_of(QueuedEvent(f"e{seq}", 0.0, event, seq))], to_disk=False)


def numbers(folder: Path) -> list[int]:
    return [entry.queued.seq for entry in OutboxReader(folder).read_new()]


def test_numbers_go_on_after_a_resume_also_if_all_has_arrived(tmp_path: Path) -> None:
    put(writer(tmp_path), started(), finished())
    assert numbers(tmp_path) == [2, 3]
    put(writer(tmp_path), started())
    assert numbers(tmp_path) == [2, 3, 5], "the free number is for the report that the first session was lost"
    RunMemory(tmp_path).block("slack").set(settled=5)
    (tmp_path / FILE).unlink()
    put(writer(tmp_path), started())
    assert numbers(tmp_path) == [7]


def test_a_reader_gets_each_entry_once_and_the_facts(tmp_path: Path) -> None:
    outbox, reader = writer(tmp_path, "slack", "mlflow"), OutboxReader(tmp_path)
    assert reader.read_new() == []
    put(outbox, started())
    assert reader.read_new() == [Entry(QueuedEvent("e2", 0.0, started(), 2), frozenset({"slack", "mlflow"}), 1)]
    assert reader.facts == facts(tmp_path)
    put(outbox, epoch(0), finished())
    assert [entry.queued.event for entry in reader.read_new()] == [epoch(0), finished()]
    assert reader.read_new() == []


def test_a_line_that_a_kill_left_unfinished_damages_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(writer(tmp_path), started())
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"id": "c", "at_s"')
    assert numbers(tmp_path) == [2]
    assert not caplog.records, "another process may be writing it"
    put(writer(tmp_path), finished())
    assert numbers(tmp_path) == [2, 4]
    assert "a line is damaged" in caplog.text


def test_what_has_arrived_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    put(writer(tmp_path, "slack", "kakao"), started(), epoch(0), finished())
    put(writer(tmp_path), started())
    tidy(tmp_path, seen=4, left={2: ["kakao"]})
    entries = OutboxReader(tmp_path).read_new()
    assert [(entry.queued.seq, *entry.channels) for entry in entries] == [(2, "kakao"), (6, "slack")]
    tidy(tmp_path, seen=6, left={})
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("left", [{}, {2: ["slack"]}], ids=["delete", "rewrite"])
def test_what_is_appended_while_the_process_that_tidies_is_stopped_stays(
    left: dict[int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer(tmp_path), started())
    late = writer(tmp_path)
    check = outboxes._refuse_growth

    def stopped(reader: OutboxReader) -> None:
        with (tmp_path / FILE).open("ab") as file:  # without the lock, after it has waited
            file.write(line_of(late.entry_of(QueuedEvent("late", 0.0, finished(), 4)).as_dict()))
        check(reader)

    monkeypatch.setattr(outboxes, "_refuse_growth", stopped)
    tidy(tmp_path, seen=2, left=left)
    assert numbers(tmp_path) == [2, 4]


def test_a_full_disk_keeps_the_file_whole_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, write = writer(tmp_path), os.write
    put(outbox, started())
    before = (tmp_path / FILE).read_bytes()

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            return write(descriptor, bytes(data[:100]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.delivery.outbox.os.write", full)
    put(outbox, epoch(0), finished())
    assert (tmp_path / FILE).read_bytes() == before
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / FILE}: could not be written (No space left on device), so an end of this run may be lost"
    ]
    monkeypatch.setattr("services.delivery.outbox.os.write", write)
    assert outbox.write([], to_disk=True)
    assert len(numbers(tmp_path)) == 3, "what was refused is written as soon as there is space"


def test_writers_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    def append(number: int) -> None:
        for line in range(20):
            append_lines(tmp_path, [line_of({"n": 100 * number + line})], to_disk=False)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line)["n"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert sorted(found) == [100 * number + line for number in range(4) for line in range(20)]


def test_an_event_does_not_wait_for_a_process_that_was_stopped_with_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "APPEND_WAIT_S", 0.05)
    code = (
        "import sys; from pathlib import Path; from services.delivery.outbox import append_lock\n"
        "with append_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        put(writer(tmp_path), finished())
        holder.kill()
    assert numbers(tmp_path) == [2]


def test_pictures_from_elsewhere_are_no_pictures_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "id_rsa").write_text("key")
    (tmp_path / "mine" / "link.png").symlink_to(tmp_path / "id_rsa")
    (tmp_path / "mine" / "pictures").mkdir()
    (tmp_path / "mine" / "pictures" / "link.png").symlink_to(tmp_path / "id_rsa")
    pictures = {name: tmp_path / "mine" / name for name in ("dice.png", "link.png", "../id_rsa")}
    pictures["before the move"] = Path("/elsewhere/mine/pictures/curves.png")
    report = ReportWritten("mine", tmp_path / "mine", tmp_path / "mine" / "report.html", {}, pictures)
    put(writer(tmp_path / "mine"), report)
    (entry,) = OutboxReader(tmp_path / "mine").read_new()
    place = tmp_path / "mine" / "pictures"
    own = {"dice.png": tmp_path / "mine" / "dice.png", "link.png": place / "left-out", "../id_rsa": place / "id_rsa"}
    assert entry.queued.event == replace(report, pictures={**own, "before the move": place / "curves.png"})


def test_a_memory_is_not_written_into_the_folder_of_the_run_that_came_instead(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    memory = RunMemory(folder)
    memory.block("slack").set(ts="1")
    folder.rename(tmp_path / "mine.replaced")
    folder.mkdir()
    memory.block("slack").set(ts="2")
    assert memory.block("slack").get("ts") == "2"
    assert list(folder.iterdir()) == []


def test_nothing_is_appended_through_a_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "secret").write_text("precious\n")
    (tmp_path / FILE).symlink_to("secret")
    put(writer(tmp_path), finished())
    assert (tmp_path / "secret").read_text() == "precious\n"
    assert "outbox.jsonl is a link, which is not followed: delete it" in caplog.text


def test_damaged_lines_are_counted_and_not_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(writer(tmp_path), started())
    values = Entry(QueuedEvent("x", 0.0, finished(), 3), frozenset(), 1).as_dict()
    bad = (b"\xff\n", b"[]\n", line_of({**values, "seq": float("inf")}), line_of({**values, "at_s": 10**400}))
    with (tmp_path / FILE).open("ab") as file:
        file.writelines(bad * 100)
    assert numbers(tmp_path) == [2]
    assert caplog.messages == [f"{tmp_path / FILE}: 400 lines are damaged and are passed over"]
