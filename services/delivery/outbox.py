"""What must arrive and has not yet, on disk: `outbox.jsonl` in the run's folder.

An event is written here before anybody tries to deliver it, with the channels it is for; what each has delivered is
written behind it. So it survives whatever ends the process, and is sent later, once. When nothing is left, neither is
the file. One process at a time has it open.
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

from services.channel import Told
from services.delivery.codec import line_of, told_as_dict, told_from
from utils.files import replacing
from utils.lock import locked_within

log = logging.getLogger(__name__)

FILE, LOCK = "outbox.jsonl", ".outbox.lock"


class Outbox:
    """The open file of one run. A disk that refuses costs nothing but the promise: that is told once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.lock = threading.Lock()
        self.left: dict[str, tuple[Told, set[str]]] = _read(self.path)
        self.file: IO[bytes] | None = None
        self.told = False

    def add(self, told: Told, channels: Iterable[str]) -> None:
        """Write an event and who must deliver it. One that is here already stays as it is."""
        with self.lock:
            if told.id in self.left:
                return
            self.left[told.id] = (told, set(channels))
            self._append({**told_as_dict(told), "channels": sorted(self.left[told.id][1])})

    def done(self, event_id: str, channel: str) -> None:
        """Note that a channel has delivered an event, or never will."""
        with self.lock:
            if event_id not in self.left:
                return
            waiting = self.left[event_id][1]
            waiting.discard(channel)
            if not waiting:
                del self.left[event_id]
            self._append({"delivered": event_id, "channel": channel})

    def waiting_for(self, channel: str) -> list[Told]:
        """What this channel has still to deliver, in order."""
        with self.lock:
            return [told for told, channels in self.left.values() if channel in channels]

    @property
    def channels(self) -> set[str]:
        """Those that have anything left to deliver."""
        with self.lock:
            return {channel for _, channels in self.left.values() for channel in channels}

    def close(self) -> None:
        """Leave only what is not delivered, or no file. A folder that was renamed meanwhile is left alone."""
        with self.lock, suppress(OSError):
            if self.file is not None:
                mine = os.fstat(self.file.fileno())
                self.file.close()
                self.file = None
                if not (self.path.exists() and os.path.samestat(mine, self.path.stat())):
                    return
            if not self.left:
                self.path.unlink(missing_ok=True)
                return
            with replacing(self.path) as file:
                for told, channels in self.left.values():
                    file.write(line_of({**told_as_dict(told), "channels": sorted(channels)}))

    def _append(self, values: Mapping[str, Any]) -> None:
        try:
            if self.file is None:
                self.file = self.path.open("ab")
            self.file.write(line_of(values))
            self.file.flush()
        except OSError as error:
            if not self.told:
                log.warning("%s: could not be written (%s), so a kill would lose it", self.path, error.strerror)
            self.told = True


@contextmanager
def opened(folder: Path, wait_s: float = 0.0) -> Iterator[Outbox]:
    """The outbox of a run, held by this process alone.

    Raises `utils.lock.Busy` where another one has it and does not let go within `wait_s` seconds.
    """
    with locked_within(folder / LOCK, wait_s, f"{folder / FILE}: is being delivered"):
        outbox = Outbox(folder)
        try:
            yield outbox
        finally:
            outbox.close()


def _read(path: Path) -> dict[str, tuple[Told, set[str]]]:
    """The events that are left, in order. A line cut off by a kill, or of another version, is passed over."""
    left: dict[str, tuple[Told, set[str]]] = {}
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
                told = told_from(values)
                left[told.id] = (told, set(values["channels"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            log.warning("%s: a line is damaged and passed over", path)
    return left


def _drop(left: dict[str, tuple[Told, set[str]]], event_id: str, channel: str) -> None:
    if event_id in left:
        left[event_id][1].discard(channel)
        if not left[event_id][1]:
            del left[event_id]
