"""Times and peak memory of both sides of a pair, taken in turn on the same machine in one run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from benchmarks.pair import Pair, Sides, Work
from utils.system.malloc import keep_freed_memory, set_thresholds

ENOUGH_S = 20.0
"""No further round is begun after so long; each side is timed at least once."""
LONG_S = 2.0


@dataclass(frozen=True)
class Timing:
    """Medians over `rounds`: seconds, or the share that the pair reads from its results."""

    usual: float
    ours: float
    rounds: int


def time_in_turn(pair: Pair, sides: Sides) -> Timing:
    """Check that both sides agree, then time usual, ours, usual, ours, …

    The results that are compared come from calls that are not timed: they load libraries and compile kernels. A call
    of less than `LONG_S` is timed the second time in a row, so that it finds caches and heap as its own kind leaves
    them, as it does where one image follows the other.
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
    """As a program does that never asked for anything else: glibc's own thresholds at the highest they grow to."""
    set_thresholds(64 << 20, 32 << 20)


def in_a_row(sides: Sides, work: Work) -> float:
    """The seconds (or the share) of the second call, of the only one where that takes long."""
    begun_s = time.perf_counter()
    measured = run(sides, work)[1]
    return measured if time.perf_counter() - begun_s > LONG_S else run(sides, work)[1]


def run(sides: Sides, work: Work) -> tuple[object, float]:
    """A side's result, and its seconds or the share read from it."""
    begun_s = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun_s
    return result, sides.reads(result) if sides.reads else seconds - sides.aside_s()
