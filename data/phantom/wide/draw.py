"""Short ways to draw from a seeded generator."""

from __future__ import annotations

import math

from numpy.random import Generator

from data.phantom.wide.ranges import Range


def uniform(rng: Generator, limits: Range) -> float:
    return float(rng.uniform(*limits))


def log_uniform(rng: Generator, limits: Range) -> float:
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def chance(rng: Generator, share: float) -> bool:
    return bool(rng.random() < share)


def choose(rng: Generator, shares: tuple[tuple[str, float], ...]) -> str:
    """Return one of the names, with the probability that stands beside it."""
    names, weights = zip(*shares, strict=True)
    total = sum(weights)
    return str(names[int(rng.choice(len(names), p=[weight / total for weight in weights]))])
