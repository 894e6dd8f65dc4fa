"""What of a run Slack has already taken, kept on disk: so that nothing is said twice, whoever goes on with it.

A delivery is several requests and may end after any of them. Each that cannot be repeated is noted before it is sent;
where its answer was lost, it is repeated once, after Slack has shown that it answers at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.delivery.run_memory import Memory
from services.delivery.snapshot import Snapshot
from services.slack.errors import AnswerLost
from utils.errors import UserError

log = logging.getLogger(__name__)

TRIES = 2
REMEMBERED = 200
"""Ids of delivered events."""


class Parts:
    """The parts of deliveries by name; names begin with the event's id."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def is_told(self, event_id: str) -> bool:
        return event_id in self.memory.get("told", ())

    def mark_told(self, event_id: str) -> None:
        """All of an event has arrived."""
        told = [*self.memory.get("told", ()), event_id][-REMEMBERED:]
        self.remember(told=told, parts=self._without(event_id))

    def forget(self, event_id: str) -> None:
        """Nobody will ask for the parts of this event again."""
        self.remember(parts=self._without(event_id))

    def send_once(self, part: str, send: Callable[[], object], is_there: Callable[[], object]) -> bool:
        """Send what may be repeated once at most; whether it has certainly arrived, now or before.

        `is_there` raises where the service does not answer at all. Raises what `send` and `is_there` raise.
        """
        state = self._states().get(part, 0)
        if state == "arrived":
            return True
        if state >= TRIES:
            log.warning("slack: sent a message twice and never had an answer, so it is not sent again")
            return False
        if state:
            is_there()
        self._note(part, state + 1)
        try:
            send()
        except AnswerLost:
            raise
        except BaseException:  # it was not heard, or not accepted: it counts as never sent
            self._note(part, state)
            raise
        self._note(part, "arrived")
        return True

    def remember(self, **values: Any) -> None:
        """Keep values. A disk that refuses costs this process nothing: it knows them all the same."""
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
    """The snapshot again; an empty one where there is none, or one of another version."""
    try:
        return Snapshot(**{**values, "report": Path(values["report"]) if values["report"] else None})
    except (TypeError, LookupError):
        return Snapshot()
