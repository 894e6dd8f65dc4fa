"""What a benchmark is: one step done in the usual way and in ours, and what must be equal about their results."""

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
    """Both ways, ready to be called again and again on the same material."""

    usual: Work
    ours: Work
    agree: Callable[[Any, Any], None]
    """Takes both results and raises `Disagreement` where they differ."""
    reads: Callable[[Any], float] | None = None
    """The number to compare, read from a result; None where it is the seconds that a call takes."""
    aside_s: Callable[[], float] = lambda: 0.0
    """Seconds of the last call that are neither's, taken off both: the network's own time."""
    in_flight: tuple[int, int] = (1, 1)
    """Images that are held at a time, in the usual way and in ours; peak memory is told for each of them."""


@dataclass(frozen=True)
class Pair:
    """A step with its two ways."""

    name: str
    does: str
    prepare: Callable[[Material], Sides]
    faster: float | None = None
    """How many times faster ours has to be."""
    smaller: float | None = None
    """How many times smaller ours has to be in peak memory per image in flight."""
    at_most: float | None = None
    """How large ours may be."""
    unit: Literal["seconds", "share"] = "seconds"
    rounds: int = 9
    """How often each side is timed at most."""


def must_agree(holds: bool, what: str) -> None:
    """Raise `Disagreement` unless `holds`."""
    if not holds:
        raise Disagreement(f"the usual way and ours differ: {what}")
