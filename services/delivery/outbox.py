"""The outbox: the events of a run that people must hear of, in the file `outbox.jsonl` of the run's folder.

The run itself appends each event, so it is on disk whatever the notifier process does; who delivers only reads. An
entry has the next number of the folder and the names of the channels in use. How far each channel has come is in the
run's memory, `services.json`. When everything has arrived, the file is deleted.

A process that delivers holds `.outbox.lock` all the time; `.outbox.append.lock` is held only while lines are written.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_as_dict, event_from, facts_from, line_of
from services.delivery.run_memory import RunMemory
from utils.errors import UserError
from utils.events import FoldsJoined, ReportWritten
from utils.files import open_no_link, replacing
from utils.lock import locked_within

log = logging.getLogger(__name__)

FILE, LOCK, APPEND_LOCK = "outbox.jsonl", ".outbox.lock", ".outbox.append.lock"
APPEND_WAIT_S = 2.0
"""After this an event is appended without the lock: its holder has been stopped, and the event must not wait."""


@dataclass(frozen=True)
class Entry:
    """An event in the outbox. `channels`: the names of those in use; `session`: the number with which the run began."""

    queued: QueuedEvent
    channels: frozenset[str]
    session: int

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return {**event_as_dict(self.queued), "channels": sorted(self.channels), "session": self.session}


def entry_from(values: Mapping[str, Any]) -> Entry:
    """The entry of JSON values. Raises `ValueError`, `LookupError` or `TypeError` if it is not one."""
    return Entry(event_from(values), frozenset(map(str, values["channels"])), int(values.get("session", 0)))


class OutboxReader:
    """Reads the entries of a run's outbox, each once, while the run appends others."""

    def __init__(self, folder: Path) -> None:
        self.path, self.folder = folder / FILE, folder.resolve()
        self.offset = self.seq = 0
        self.facts: RunFacts | None = None
        """The newest facts of the run in the file."""

    def read_new(self, *, is_complete: bool = False) -> list[Entry]:
        """The entries of the lines that were completed since the last call; damaged lines are logged.

        `is_complete`: no process is writing now, so an unfinished last line is a damaged one.
        """
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self.offset:
                    self.offset = 0
                file.seek(self.offset)
                *lines, rest = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s: cannot be read (%s)", self.path, error.strerror)
            return []
        self.offset += sum(len(line) + 1 for line in lines) + (len(rest) if is_complete else 0)
        found: dict[str, Entry] = {}
        damaged = 0
        for line in filter(None, [*lines, rest] if is_complete else lines):
            try:
                self._add(json.loads(line), found)
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
                damaged += 1
        if damaged:
            what = "a line is damaged and" if damaged == 1 else f"{damaged} lines are damaged and are"
            log.warning("%s: %s passed over", self.path, what)
        return sorted(found.values(), key=lambda entry: entry.queued.seq)

    def _add(self, values: Mapping[str, Any], found: dict[str, Entry]) -> None:
        if "facts" in values:
            self.facts = facts_from(values["facts"])
        elif "delivered" in values:  # version 0.1 wrote deliveries into the same file
            old = found.get(values["delivered"])
            if old is not None:
                found[old.queued.id] = Entry(old.queued, old.channels - {values["channel"]}, old.session)
        else:
            entry = entry_from({"seq": self.seq + 1, **values})  # version 0.1 wrote no numbers
            found[entry.queued.id] = Entry(self._with_own_files(entry.queued), entry.channels, entry.session)
            self.seq = max(self.seq, entry.queued.seq)

    def _with_own_files(self, queued: QueuedEvent) -> QueuedEvent:
        """The event with paths into the run's folder alone, because channels upload these files."""
        event, folder = queued.event, self.path.parent
        if isinstance(event, ReportWritten | FoldsJoined):
            event = replace(event, report=self._own_file(event.report, folder))
        if isinstance(event, ReportWritten):
            own = {title: self._own_file(path, folder / "pictures") for title, path in event.pictures.items()}
            event = replace(event, pictures=own)
        return replace(queued, event=event)

    def _own_file(self, path: Path, place: Path) -> Path:
        """The path; one that leads elsewhere is looked for in `place` by its name, as after a move of the folder."""
        for each in (path, place / path.name):
            if each.resolve().is_relative_to(self.folder):
                return each
        return place / "left-out"


class OutboxWriter:
    """Appends what the run emits in one session, from its start or resume to its end.

    The number before the session's first event is left free: the notifier process of the session before may use it to
    report that the run was lost.
    """

    def __init__(self, facts: RunFacts, channels: Iterable[str]) -> None:
        self.folder, self.channels = facts.folder, frozenset(channels)
        self.session = last_number(facts.folder) + 1
        self.unwritten: list[bytes] = []
        self.head = [line_of({"facts": asdict(facts)})]
        """The line before the first event."""
        self.has_warned = False

    def entry_of(self, queued: QueuedEvent) -> Entry:
        """The entry of a numbered event."""
        return Entry(queued, self.channels, self.session)

    def write(self, entries: Iterable[Entry], *, to_disk: bool) -> bool:
        """Append entries, after those that could not be written before; `to_disk`: they survive a power cut, too.

        Returns whether they are written; if not, they are tried again with the next ones.
        """
        self.unwritten += [line_of(entry.as_dict()) for entry in entries]
        if not self.unwritten:
            return True
        try:
            append_lines(self.folder, [*self.head, *self.unwritten], to_disk=to_disk)
        except OSError as error:
            if not self.has_warned:
                why = error.strerror or error
                log.warning("%s: could not be written (%s), so an end of this run may be lost", self.folder / FILE, why)
            self.has_warned = True
            return False
        self.head, self.unwritten = [], []
        return True


def append_lines(folder: Path, lines: Sequence[bytes], *, to_disk: bool = True) -> None:
    """Append whole lines to the outbox, all or none. Raises `OSError` if the disk refuses."""
    with append_lock(folder):
        descriptor = open_no_link(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(descriptor).st_size
            # A line that a killed process left unfinished must not damage the next one.
            is_whole = not size or os.pread(descriptor, 1, size - 1) == b"\n"
            left = memoryview(b"".join(lines if is_whole else [b"\n", *lines]))
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
                if to_disk:
                    os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


@contextmanager
def append_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the outbox's file; without it after `APPEND_WAIT_S` seconds, or if it cannot be made."""
    with ExitStack() as held:
        if folder.is_dir():
            with suppress(UserError):
                held.enter_context(locked_within(folder / APPEND_LOCK, APPEND_WAIT_S, f"{folder / FILE}: is in use"))
        yield


@contextmanager
def delivery_lock(folder: Path, wait_s: float) -> Iterator[None]:
    """Keep other processes from delivering. Raises `utils.lock.Busy` if one does longer than `wait_s` seconds."""
    way_out = "Wait for it, or end it if it hangs."
    with locked_within(folder / LOCK, wait_s, f"{folder / FILE}: is being delivered", way_out):
        yield


def last_number(folder: Path) -> int:
    """The number of the newest event of a run, also if all events have arrived."""
    entries = OutboxReader(folder).read_new()
    settled = [block.get("settled", 0) for block in RunMemory(folder).blocks.values()]
    return max([0, *(entry.queued.seq for entry in entries), *(seq for seq in settled if isinstance(seq, int))])


def tidy(folder: Path, seen: int, left: Mapping[int, Iterable[str]]) -> None:
    """Rewrite the file with the entries that are left, and those after number `seen`; delete it if there are none.

    `left`: by number, the channels that have not delivered the event.
    """
    reader = OutboxReader(folder)
    with append_lock(folder), suppress(OSError, UserError):
        kept = [
            replace(entry, channels=frozenset(left.get(entry.queued.seq, entry.channels)))
            for entry in reader.read_new(is_complete=True)
            if entry.queued.seq > seen or entry.queued.seq in left
        ]
        if not kept:
            _refuse_growth(reader)
            reader.path.unlink()
            return
        with replacing(reader.path, stat.S_IMODE(reader.path.stat().st_mode)) as file:
            facts = [] if reader.facts is None else [{"facts": asdict(reader.facts)}]
            file.writelines(map(line_of, [*facts, *(entry.as_dict() for entry in kept)]))
            _refuse_growth(reader)


def _refuse_growth(reader: OutboxReader) -> None:
    """Raise `UserError` if the file is longer than what was read: this process was stopped while it held the lock."""
    if reader.path.stat().st_size > reader.offset:
        raise UserError(f"{reader.path}: has grown")
