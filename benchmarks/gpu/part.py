"""The types of a measurement on a card: a part has columns and measurements, a measurement finds rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.gpu.bench import Bench

Value: TypeAlias = "float | str | None"
LEFT_OUT = "left out: no time was left"
"""The fault of what was not begun."""


@dataclass(frozen=True)
class Row:
    """What one measurement found, by the keys of its part's columns."""

    name: str
    values: Mapping[str, Value] = field(default_factory=dict)
    holds: bool | None = None
    """Whether what must be true is true; None: nothing must be."""
    fault: str | None = None
    """Why there are no values: memory, time, or an error."""
    trace: str | None = None
    """The end of an error's traceback; for the JSON file alone."""


@dataclass(frozen=True)
class Measurement:
    """One thing to measure, alone: if it fails, the others are measured all the same."""

    name: str
    measure: Callable[[], Iterable[Row]]


@dataclass(frozen=True)
class Column:
    """A value of each row: its key, its heading, and how a number is written."""

    key: str
    heading: str
    show: Callable[[float], str]


@dataclass(frozen=True)
class Part:
    """Measurements of one kind, which stand in one table."""

    name: str
    does: str
    columns: tuple[Column, ...]
    measurements: Callable[[Bench], Iterable[Measurement]]
    needs_images: bool = False


def compared(name: str, difference: float, allowed: float) -> Row:
    """Return the row of a difference that may not exceed `allowed`; one that is no number does."""
    return Row(name, {"difference": difference, "allowed": allowed}, holds=bool(difference <= allowed))
