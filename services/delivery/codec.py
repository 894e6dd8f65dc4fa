"""Convert events and facts of a run to JSON values and back, for the pipe to the notifier process and the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from services.channel import QueuedEvent, RunFacts
from utils import events

RENAMED = {"dice": "score", "dice_per_class": "score_per_class"}
"""Fields of events as version 0.1 named them, for its outboxes."""
KINDS: dict[str, type[events.Event]] = {kind.__name__: kind for kind in get_args(events.Event)}


def event_as_dict(queued: QueuedEvent) -> dict[str, Any]:
    """An event with its number, id and time, as values for `line_of`."""
    about = {"seq": queued.seq, "id": queued.id, "at_s": queued.at_s, "kind": type(queued.event).__name__}
    return {**about, **asdict(queued.event)}


def event_from(values: Mapping[str, Any]) -> QueuedEvent:
    """The event of a JSON object. Raises `ValueError` if it is not one, such as an event of another version."""
    try:
        event = made(KINDS[values["kind"]], {RENAMED.get(name, name): value for name, value in values.items()})
        return QueuedEvent(str(values["id"]), float(values["at_s"]), event, int(values.get("seq", 0)))
    except (LookupError, TypeError) as error:
        raise ValueError(f"no event that is known here ({type(error).__name__}: {error})") from error


def facts_from(values: Mapping[str, Any]) -> RunFacts:
    """The facts of a JSON object. Raises `ValueError` if it does not hold them."""
    facts: RunFacts = made(RunFacts, values)
    return facts


def line_of(values: Mapping[str, Any]) -> bytes:
    """One line of JSON; paths become text."""
    return json.dumps(values, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def made(kind: Any, values: Any) -> Any:
    """A dataclass of JSON values; unknown ones are ignored. Raises `ValueError` if some are missing or wrong."""
    try:
        return _adapter_of(kind).validate_python(values)
    except ValidationError as error:
        names = ", ".join(dict.fromkeys(str((*fault["loc"], "all")[0]) for fault in error.errors()))
        raise ValueError(f"no {kind.__name__}: {names} missing or wrong") from None


@cache
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
