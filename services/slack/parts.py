"""The parts of deliveries that Slack has received, saved on disk, so that a resumed run sends nothing twice.

A delivery has several requests and may fail after any of them. A request that cannot be repeated is recorded before it
is sent. If its answer is lost, it is repeated once, after a check that Slack answers at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.channel import AnswerLost
from services.delivery.run_memory import ChannelMemory
from services.delivery.snapshot import Snapshot
from utils.errors import UserError

log = logging.getLogger(__name__)

TRIES = 2
REMEMBERED = 200
"""Ids of delivered events that are saved."""


class SentParts:
    """The state of each part by its name, which begins with the event's id.

    A state is the number of tries with unknown result, or `arrived`. The saved keys are `told` and `parts`.
    """

    def __init__(self, memory: ChannelMemory) -> None:
        self.memory = memory

    def is_delivered(self, event_id: str) -> bool:
        return event_id in self.memory.get("told", ())

    def mark_delivered(self, event_id: str) -> None:
        """Record that all parts of an event have arrived."""
        told = [*self.memory.get("told", ()), event_id][-REMEMBERED:]
        self.remember(told=told, parts=self._without(event_id))

    def forget(self, event_id: str) -> None:
        """Delete the states of an event's parts."""
        self.remember(parts=self._without(event_id))

    def send_once(self, part: str, send: Callable[[], object], check_connection: Callable[[], object]) -> bool:
        """Send a part that may be repeated once at most; returns whether it has arrived for certain, now or before.

        `check_connection` raises if the service does not answer. Raises what `send` and `check_connection` raise.
        """
        state = self._states().get(part, 0)
        if state == "arrived":
            return True
        if state >= TRIES:
            log.warning("slack: sent a message twice and never had an answer, so it is not sent again")
            return False
        if state:  # the answer to an earlier try was lost
            check_connection()
        # The try is recorded first, so that it counts even if the process is killed.
        self._note(part, state + 1)
        try:
            send()
        except AnswerLost:
            raise
        except BaseException:  # the request had no effect, so the try does not count
            self._note(part, state)
            raise
        self._note(part, "arrived")
        return True

    def remember(self, **values: Any) -> None:
        """Save values. If the disk cannot be written, they stay in memory for this process."""
        try:
            self.memory.set(**values)
        except UserError as error:
            log.debug("slack: %s", error)

    def _without(self, event_id: str) -> dict[str, Any]:
        return {part: state for part, state in self._states().items() if not part.startswith(f"{event_id}:")}

    def _states(self) -> dict[str, Any]:
        return dict(self.memory.get("parts", {}))

    def _note(self, part: str, state: int | str) -> None:
        self.remember(parts={**self._states(), part: state})


def snapshot_as_dict(now: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON values."""
    return {**asdict(now), "report": str(now.report) if now.report else None}


def snapshot_from(values: Any) -> Snapshot:
    """The snapshot of JSON values; an empty one if they are missing or of another version."""
    try:
        return Snapshot(**{**values, "report": Path(values["report"]) if values["report"] else None})
    except (TypeError, LookupError):
        return Snapshot()
