"""Confidence intervals of means over images, by drawing the images again (Efron's percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and the limits between which it lies with a probability of `LEVEL`."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(values: Sequence[float], *, groups: Sequence[str] | None = None, seed: int = 0) -> Interval:
    """Estimate how far the mean of `values` may be from that of all images of their kind.

    Images of one group resemble each other, so whole groups are drawn if `groups` says which group each image belongs
    to. The same seed gives the same limits. Raises `ValueError` without values.
    """
    if not len(values):
        raise ValueError("an interval needs at least one value")
    _, group_of = np.unique(range(len(values)) if groups is None else list(groups), return_inverse=True)
    sums = np.bincount(group_of, weights=values)
    counts = np.bincount(group_of)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(np.mean(values)), float(low), float(high))
