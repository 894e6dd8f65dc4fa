"""Which receivers have a message about an event, and for whom an answer was lost, so that nobody gets it often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.delivery.run_memory import ChannelMemory

EVENTS = 50
"""How many events are saved; a run that is resumed often has more."""
TRIES = 2
"""Tries of a message whose answer is lost. A third would annoy more than it helps."""


class Ledger:
    """The deliveries of one event by receiver (a friend's uuid, or `ME`), saved under the key `told`."""

    def __init__(self, memory: ChannelMemory, event_id: str) -> None:
        self.memory, self.event_id = memory, event_id

    def is_done(self, receiver: str) -> bool:
        return self._lines().get(receiver) == "done"

    def lost(self, receiver: str) -> int:
        """The number of tries with unknown result: the answer was lost, or the process was killed."""
        found = self._lines().get(receiver, 0)
        return found if isinstance(found, int) else 0

    def begin(self, receivers: Iterable[str]) -> None:
        """Record a try before it is made."""
        self._set({receiver: self.lost(receiver) + 1 for receiver in receivers})

    def take_back(self, receivers: Iterable[str]) -> None:
        """Delete the record of a try that had no effect for certain."""
        self._set({receiver: max(self.lost(receiver) - 1, 0) for receiver in receivers})

    def finish(self, receivers: Iterable[str]) -> None:
        """Record that these receivers need no further try."""
        self._set(dict.fromkeys(receivers, "done"))

    def _lines(self) -> dict[str, Any]:
        found = self.memory.get("told", {}).get(self.event_id)
        return found if isinstance(found, dict) else {}

    def _set(self, lines: dict[str, Any]) -> None:
        told = {**self.memory.get("told", {}), self.event_id: {**self._lines(), **lines}}
        self.memory.set(told=dict(list(told.items())[-EVENTS:]))
