"""Cosine annealing with warm-up restarts in closed form: the cycle that holds a step, and the curve inside a cycle.

Restarts after SGDR (arXiv:1608.03983), with a linear warm-up in each cycle and a peak that decays from cycle to cycle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cycle:
    """One cycle: a linear rise from the floor over `warmup` steps, then half a cosine from the peak to the floor."""

    number: int
    start: int
    length: int
    warmup: int

    def height_at(self, step: int) -> float:
        """0 on the floor, 1 at the peak; steps after the end stay on the floor."""
        passed = min(step - self.start, self.length)
        if passed < self.warmup:
            return passed / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (passed - self.warmup) / (self.length - self.warmup)))

    def following(self, cycle_mult: float) -> Cycle:
        """The next cycle, int((T - W) · mult) + W long; at least one step more than its warm-up."""
        annealing = max(1, int((self.length - self.warmup) * cycle_mult))
        return Cycle(self.number + 1, self.start + self.length, annealing + self.warmup, self.warmup)


@dataclass(frozen=True)
class WarmRestarts:
    """lr(step) / base lr. The peak of cycle n is decay^n, never below the floor; floor and peak are shares of 1."""

    first_cycle: int
    warmup: int
    cycle_mult: float
    floor: float
    decay: float

    def __call__(self, step: int) -> float:
        cycle = self.cycle_at(step)
        peak = max(self.floor, self.decay**cycle.number)
        return self.floor + (peak - self.floor) * cycle.height_at(step)

    def cycle_at(self, step: int) -> Cycle:
        """The cycle that holds a step; the first step of a cycle belongs to it, not to the one before."""
        cycle = Cycle(0, 0, self.first_cycle, self.warmup)
        while step >= cycle.start + cycle.length:
            cycle = cycle.following(self.cycle_mult)
        return cycle
