"""The types of a benchmark: one step in the usual way and in ours, and a check that their results are equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.material import Material

Work = Callable[[], Any]


class Disagreement(Exception):
    """The two ways gave different results, so their times must not be compared."""


@dataclass(frozen=True)
class Sides:
    """Both ways as functions that can be called many times on the same material."""

    usual: Work
    ours: Work
    agree: Callable[[Any, Any], None]
    """Takes both results and raises `Disagreement` if they differ."""
    reads: Callable[[Any], float] | None = None
    """The number to compare, computed from a result; None: the seconds of a call."""
    aside_s: Callable[[], float] = lambda: 0.0
    """Seconds of the last call that belong to neither side (the network's own time), subtracted from both."""
    in_flight: tuple[int, int] = (1, 1)
    """Images in memory at a time, in the usual way and in ours; peak memory is divided by this number."""


@dataclass(frozen=True)
class Pair:
    """A step with its two ways."""

    name: str
    does: str
    prepare: Callable[[Material], Sides]
    faster: float | None = None
    """The required ratio of times, usual / ours."""
    smaller: float | None = None
    """The required ratio of peak memory per image in flight, usual / ours."""
    at_most: float | None = None
    """The largest allowed time or share of ours."""
    unit: Literal["seconds", "share"] = "seconds"
    rounds: int = 9
    """How often each side is timed at most."""


def must_agree(holds: bool, what: str) -> None:
    """Raise `Disagreement` unless `holds`."""
    if not holds:
        raise Disagreement(f"the usual way and ours differ: {what}")
