"""The outbox: undelivered events that must arrive, in the file `outbox.jsonl` of the run's folder.

An event is written here with its channels before the first try to deliver it; a line for each delivery follows. So the
event survives the end of the process and is sent later, once. When nothing is left, the file is deleted. One process at
a time has it open.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from services.channel import QueuedEvent
from services.delivery.codec import event_as_dict, event_from, line_of
from utils.files import replacing
from utils.lock import locked_within

log = logging.getLogger(__name__)

FILE, LOCK = "outbox.jsonl", ".outbox.lock"


class Outbox:
    """The open outbox of one run. If the disk cannot be written, events stay in memory and one warning is logged."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.lock = threading.Lock()
        self.left: dict[str, tuple[QueuedEvent, set[str]]] = _read(self.path)
        self.file: IO[bytes] | None = None
        self.has_warned = False

    def add(self, queued: QueuedEvent, channels: Iterable[str]) -> None:
        """Write an event and the channels that must deliver it. An event that is in the outbox already stays as is."""
        with self.lock:
            if queued.id in self.left:
                return
            self.left[queued.id] = (queued, set(channels))
            self._append({**event_as_dict(queued), "channels": sorted(self.left[queued.id][1])})

    def done(self, event_id: str, channel: str) -> None:
        """Record that a channel has delivered an event, or gives it up."""
        with self.lock:
            if event_id not in self.left:
                return
            waiting = self.left[event_id][1]
            waiting.discard(channel)
            if not waiting:
                del self.left[event_id]
            self._append({"delivered": event_id, "channel": channel})

    def waiting_for(self, channel: str) -> list[QueuedEvent]:
        """The events that this channel has not delivered yet, oldest first."""
        with self.lock:
            return [queued for queued, channels in self.left.values() if channel in channels]

    @property
    def channels(self) -> set[str]:
        """Names of the channels that have events left to deliver."""
        with self.lock:
            return {channel for _, channels in self.left.values() for channel in channels}

    def close(self) -> None:
        """Rewrite the file with the undelivered events alone, or delete it if there are none.

        If the run's folder was renamed meanwhile, nothing is written.
        """
        with self.lock, suppress(OSError):
            if self.file is not None:
                mine = os.fstat(self.file.fileno())
                self.file.close()
                self.file = None
                if not (self.path.exists() and os.path.samestat(mine, self.path.stat())):  # another file is there now
                    return
            if not self.left:
                self.path.unlink(missing_ok=True)
                return
            with replacing(self.path) as file:
                for queued, channels in self.left.values():
                    file.write(line_of({**event_as_dict(queued), "channels": sorted(channels)}))

    def _append(self, values: Mapping[str, Any]) -> None:
        try:
            if self.file is None:
                self.file = self.path.open("ab")
            self.file.write(line_of(values))
            self.file.flush()
        except OSError as error:
            if not self.has_warned:
                log.warning("%s: could not be written (%s), so a kill would lose it", self.path, error.strerror)
            self.has_warned = True


@contextmanager
def open_outbox(folder: Path, wait_s: float = 0.0) -> Iterator[Outbox]:
    """Open the outbox of a run for this process alone.

    Raises `utils.lock.Busy` if another process has it open and does not close it within `wait_s` seconds.
    """
    with locked_within(folder / LOCK, wait_s, f"{folder / FILE}: is being delivered"):
        outbox = Outbox(folder)
        try:
            yield outbox
        finally:
            outbox.close()


def _read(path: Path) -> dict[str, tuple[QueuedEvent, set[str]]]:
    """The undelivered events by id, each with its channels. A truncated line, or one of another version, is skipped."""
    left: dict[str, tuple[QueuedEvent, set[str]]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return left
    for line in lines:
        try:
            values = json.loads(line)
            if "delivered" in values:
                _drop(left, values["delivered"], values["channel"])
            else:
                queued = event_from(values)
                left[queued.id] = (queued, set(values["channels"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            log.warning("%s: a line is damaged and passed over", path)
    return left


def _drop(left: dict[str, tuple[QueuedEvent, set[str]]], event_id: str, channel: str) -> None:
    if event_id in left:
        left[event_id][1].discard(channel)
        if not left[event_id][1]:
            del left[event_id]
