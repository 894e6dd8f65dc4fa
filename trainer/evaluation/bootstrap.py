"""Confidence intervals of means over images, by drawing the images again (Efron's percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from utils.arrays import Floats

# Shapes: N images, G groups of images, T points of a curve, D draws.

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A number, and the limits between which it lies with a probability of `LEVEL`."""

    mean: float
    low: float
    high: float


def mean_interval(
    values: Sequence[float] | Floats,
    *,
    groups: Sequence[str] | None = None,
    reduce: Callable[[Floats], float] = float,
    seed: int = 0,
) -> Interval:
    """Estimate how far the mean of `values` may be from that of all images of their kind.

    `values` are float64[N], or curves float64[N, T] of whose mean `reduce` makes a number. Images of one group resemble
    each other, so whole groups are drawn if `groups` says which group each image belongs to. The same seed gives the
    same limits. Raises `ValueError` without values.
    """
    table = np.asarray(values, np.float64)
    if not len(table):
        raise ValueError("an interval needs at least one value")
    _, group_of = np.unique(range(len(table)) if groups is None else list(groups), return_inverse=True)
    sums = np.zeros((group_of.max() + 1, *table.shape[1:]))
    np.add.at(sums, group_of, table)
    counts_G = np.bincount(group_of)
    # How often each group is drawn, in each of the draws.
    times_DG = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    totals = times_DG @ sums.reshape(len(sums), -1) / (times_DG @ counts_G)[:, None]
    means = [reduce(total.reshape(table.shape[1:])) for total in totals]
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(reduce(table.mean(axis=0)), float(low), float(high))
