"""What may already have been sent, saved in the run's folder, so that each message arrives once, and at most twice.

A request that cannot be repeated safely is recorded before it is sent. If its answer is lost, or the process is killed,
it is sent once more, after a check that the service answers at all, and never a third time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.channel import AnswerLost, NotDelivered
from services.delivery.run_memory import ChannelMemory, value_of, values_in
from utils.errors import UserError
from utils.files import write_text
from utils.lock import Busy, locked_within

log = logging.getLogger(__name__)

TRIES = 2
"""Tries of a message whose answer is lost. A third would annoy more than it helps."""
REMEMBERED = 200
"""Ids of delivered events that are saved."""
LOCK_S = 12.0
ARRIVED = "arrived"


class DeliveryLog:
    """The deliveries of one channel of one run. An event has parts, such as a message and its files, or receivers.

    A part's state is the number of tries with unknown result, or `arrived`. The saved keys are `told` (ids of events
    of which all parts have arrived) and `parts`.
    """

    def __init__(self, notes: ChannelMemory, channel: str) -> None:
        self.notes, self.channel = notes, channel
        if isinstance(notes.get("told"), dict):
            self._convert(notes.get("told"))

    def is_delivered(self, event_id: str) -> bool:
        return event_id in self.notes.get("told", [])

    def mark_delivered(self, event_id: str) -> None:
        """Record that nothing of an event is left to send."""
        self.forget(event_id, told=[*self.notes.get("told", []), event_id][-REMEMBERED:])

    def forget(self, event_id: str, **values: Any) -> None:
        """Delete the states of an event's parts, and save other values."""
        parts = self.notes.get("parts", {})
        left = {part: state for part, state in parts.items() if not part.startswith(f"{event_id}:")}
        self.remember(parts=left, **values)

    def is_done(self, event_id: str, part: str) -> bool:
        return bool(self.notes.get("parts", {}).get(f"{event_id}:{part}") == ARRIVED)

    def finish(self, event_id: str, parts: Iterable[str]) -> None:
        """Record that these parts need no further try."""
        self._note(event_id, dict.fromkeys(parts, ARRIVED))

    def count(self, event_id: str, name: str) -> int:
        """Count another failure of this name, over all processes; returns how many there are."""
        found = self._lost(event_id, f"{name} failed") + 1
        self._note(event_id, {f"{name} failed": found})
        return found

    def send_once(
        self, event_id: str, part: str, send: Callable[[], object], check_connection: Callable[[], object]
    ) -> None:
        """Send one part as `send_parts` does."""

        def send_all(parts: Sequence[str]) -> Sequence[str]:
            send()
            return parts

        self.send_parts(event_id, [part], send_all, check_connection)

    def send_parts(
        self,
        event_id: str,
        parts: Sequence[str],
        send: Callable[[Sequence[str]], Iterable[str]],
        check_connection: Callable[[], object],
    ) -> None:
        """Send those parts that have not arrived, in one request; after `TRIES` tries without an answer none.

        `send` gets the parts, and returns those that need no further try; the others count as tried. `check_connection`
        raises if the service does not answer. Raises what these two raise.
        """
        left = [part for part in parts if not self.is_done(event_id, part) and not self._is_hopeless(event_id, part)]
        if not left:
            return
        before = {part: self._lost(event_id, part) for part in left}
        if any(before.values()):
            check_connection()
        # The try is recorded first, so that it counts even if the process is killed.
        self._note(event_id, {part: tries + 1 for part, tries in before.items()})
        try:
            done = send(left)
        except AnswerLost:
            raise
        except BaseException:  # the request had no effect, so the try does not count
            self._note(event_id, {part: tries for part, tries in before.items() if not self.is_done(event_id, part)})
            raise
        self.finish(event_id, done)

    def remember(self, **values: Any) -> None:
        """Save values. If the disk cannot be written, they stay in memory for this process."""
        try:
            self.notes.set(**values)
        except UserError as error:
            log.debug("%s: %s", self.channel, error)

    def _convert(self, told: dict[str, Any]) -> None:
        """Convert what version 0.1 saved of KakaoTalk: by event and receiver, `done` or the number of tries."""
        told = {event_id: receivers for event_id, receivers in told.items() if isinstance(receivers, dict)}
        states = {
            f"{event_id}:{receiver}": ARRIVED if state == "done" else state
            for event_id, receivers in told.items()
            for receiver, state in receivers.items()
        }
        done = [event_id for event_id, receivers in told.items() if set(receivers.values()) == {"done"}]
        self.remember(told=done, parts=states)

    def _is_hopeless(self, event_id: str, part: str) -> bool:
        if self._lost(event_id, part) < TRIES:
            return False
        log.warning("%s: two tries brought no answer to go by; whether %s arrived is not known", self.channel, part)
        self.finish(event_id, [part])
        return True

    def _lost(self, event_id: str, part: str) -> int:
        """How many tries of a part have an unknown result."""
        found = self.notes.get("parts", {}).get(f"{event_id}:{part}", 0)
        return found if isinstance(found, int) else 0

    def _note(self, event_id: str, states: Mapping[str, int | str]) -> None:
        named = {f"{event_id}:{part}": state for part, state in states.items()}
        self.remember(parts={**self.notes.get("parts", {}), **named})


class SharedNotes:
    """Values in a file that several processes write, each within `locked`, such as the folds of a cross-validation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str, default: Any = None) -> Any:
        return value_of(values_in(self.path), name, default)

    def set(self, **values: Any) -> None:
        write_text(self.path, json.dumps({**values_in(self.path), **values}, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the file. Raises `NotDelivered` if another process holds it for long."""
        with locked_soon(self.path, f"{self.path}: another fold is writing it"):
            yield


@contextmanager
def locked_soon(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a file. Raises `NotDelivered` with the words `busy` if another process holds it for long."""
    try:
        with locked_within(path.with_name(f".{path.name}.lock"), LOCK_S, busy):
            yield
    except Busy as error:
        raise NotDelivered(busy, retry_after_s=2.0) from error
