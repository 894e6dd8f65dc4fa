"""Measure the times of both sides of a pair, in turn on the same machine in one run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from benchmarks.pair import Pair, Sides, Work
from utils.system.malloc import keep_freed_memory, set_thresholds

ENOUGH_S = 20.0
"""No further round begins after this time; each side is timed at least once."""
LONG_S = 2.0
"""A call that takes longer is not made twice in a row."""


@dataclass(frozen=True)
class Timing:
    """Medians over `rounds`: seconds, or the share that the pair reads from its results."""

    usual: float
    ours: float
    rounds: int


def time_in_turn(pair: Pair, sides: Sides) -> Timing:
    """Check that both sides agree, then time usual, ours, usual, ours, …

    The results that are compared come from calls that are not timed: they load libraries and compile kernels. A call
    of less than `LONG_S` is made twice in a row and timed the second time, so that caches and heap are as the same side
    leaves them, as they are from image to image.
    """
    give_freed_memory_back()
    sides.agree(sides.usual(), sides.ours())
    begun_s = time.perf_counter()
    rounds: list[tuple[float, float]] = []
    while len(rounds) < pair.rounds and (not rounds or time.perf_counter() - begun_s < ENOUGH_S):
        give_freed_memory_back()
        usual_s = in_a_row(sides, sides.usual)
        keep_freed_memory()
        rounds.append((usual_s, in_a_row(sides, sides.ours)))
    usual, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    return Timing(usual, ours, len(rounds))


def give_freed_memory_back() -> None:
    """Set glibc's thresholds to the largest values that it chooses itself, as in a program that never sets them."""
    set_thresholds(64 << 20, 32 << 20)


def in_a_row(sides: Sides, work: Work) -> float:
    """The seconds (or the share) of the second call, or of the only one if that takes longer than `LONG_S`."""
    begun_s = time.perf_counter()
    measured = run(sides, work)[1]
    return measured if time.perf_counter() - begun_s > LONG_S else run(sides, work)[1]


def run(sides: Sides, work: Work) -> tuple[object, float]:
    """A side's result, and its seconds or the share read from it."""
    begun_s = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun_s
    return result, sides.reads(result) if sides.reads else seconds - sides.aside_s()
