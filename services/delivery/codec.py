"""Convert events and facts of a run to JSON values and back, for the pipe to the notifier process and the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from services.channel import QueuedEvent, RunFacts
from utils import events

RENAMED = {"dice": "score", "dice_per_class": "score_per_class"}
"""Fields of events as version 0.1 named them, for its outboxes."""
KINDS: dict[str, type[events.Event]] = {kind.__name__: kind for kind in get_args(events.Event)}


def event_as_dict(queued: QueuedEvent) -> dict[str, Any]:
    """An event with its number, id and time, as JSON values."""
    about = {"seq": queued.seq, "id": queued.id, "at_s": queued.at_s, "kind": type(queued.event).__name__}
    return {**about, **_plain(queued.event)}


def event_from(values: Mapping[str, Any]) -> QueuedEvent:
    """The event of a JSON object. Raises `ValueError` if it is not one, such as an event of another version."""
    try:
        fields_now = {RENAMED.get(name, name): value for name, value in values.items()}
        event = _made(KINDS[values["kind"]], fields_now)
        return QueuedEvent(str(values["id"]), float(values["at_s"]), event, int(values.get("seq", 0)))
    except (LookupError, TypeError) as error:
        raise ValueError(f"no event that is known here ({type(error).__name__}: {error})") from error


def facts_as_dict(facts: RunFacts) -> dict[str, Any]:
    """The facts of a run as JSON values."""
    return _plain(facts)


def facts_from(values: Mapping[str, Any]) -> RunFacts:
    """The facts of a JSON object. Raises `ValueError` if it does not hold them."""
    try:
        made: RunFacts = _made(RunFacts, values)
        return made
    except (LookupError, TypeError) as error:
        raise ValueError(f"no facts of a run ({type(error).__name__}: {error})") from error


def line_of(values: Mapping[str, Any]) -> bytes:
    """One line of JSON; paths become text."""
    return json.dumps(values, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, with paths as text."""
    return {field.name: _without_paths(getattr(value, field.name)) for field in fields(value)}


def _without_paths(value: Any) -> Any:
    if is_dataclass(value):
        return _plain(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items()}
    return value


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{name: _typed(hint, values[name]) for name, hint in _hints(kind).items() if name in values})


def _typed(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    for kind in (hint, *get_args(hint)):
        if is_dataclass(kind):
            return _made(kind, value)
    if hint is Path or Path in get_args(hint):
        return {key: Path(item) for key, item in value.items()} if isinstance(value, Mapping) else Path(value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
