"""Cosine annealing with warm-up restarts in closed form: the cycle that contains a step, and the curve in a cycle.

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
        """Return the height of the curve, 0 (floor) to 1 (peak); it stays 0 after the end of the cycle."""
        passed = min(step - self.start, self.length)
        if passed < self.warmup:
            return passed / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (passed - self.warmup) / (self.length - self.warmup)))

    def following(self, cycle_mult: float) -> Cycle:
        """Return the next cycle, int((T - W) · cycle_mult) + W steps long, at least one more than its warm-up W."""
        annealing = max(1, int((self.length - self.warmup) * cycle_mult))
        return Cycle(self.number + 1, self.start + self.length, annealing + self.warmup, self.warmup)


@dataclass(frozen=True)
class WarmRestarts:
    """The curve lr(step) / base lr, 0..1. The peak of cycle n is decay^n, never below `floor`, a share of base lr."""

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
        """Return the cycle that contains a step; a cycle contains its first step, not the one after its last."""
        cycle = Cycle(0, 0, self.first_cycle, self.warmup)
        while step >= cycle.start + cycle.length:
            cycle = cycle.following(self.cycle_mult)
        return cycle
