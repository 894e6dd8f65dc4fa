"""A common frame for hands of either side: each is moved, turned, scaled and perhaps mirrored onto the usual one.

Points are complex numbers, x + iy, so that moving, turning and scaling is w = a·z + b, and mirroring is -conj(z).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from data.hand_bone.classes import BONES
from utils.arrays import Floats, Indices

# Shapes: N hands, C classes (29); nan where a class is absent.
Points: TypeAlias = npt.NDArray[np.complex128]

LEANS_DEG = (0.0, -35.0, 35.0, -18.0, 18.0)
"""How hands may lean in the image, as far as the search for their frame has to know; it finds the rest."""

TYPICAL = 2.0
"""A hand whose names fit within so many times the usual distance needs no search."""

LOST = 0.5
"""Distances count up to here, in the frame's unit: a bone drawn at a wrong place is as good as none."""

_THUMB, _LITTLE = BONES.index("finger-3"), BONES.index("finger-19")


@dataclass(frozen=True)
class Laid:
    """A hand in the common frame, where bones' distance from their middle is about 1 (root mean square)."""

    points: Points
    """[C]."""
    taken: Indices
    """[C], the place where each bone lies; its own where the bone is absent."""
    unit_px: float
    """The frame's unit in the hand's own pixels."""

    def by_place(self) -> Points:
        """The points in the order of the places that they take; nan where none does."""
        ordered = np.full(len(self.points), np.nan, np.complex128)
        present = ~np.isnan(self.points)
        ordered[self.taken[present]] = self.points[present]
        return ordered


def usual_places(centres: Points) -> Points:
    """[N, C] in pixels → [C]: the median hand, thumb to the left. Hands with mixed-up labels are outvoted."""
    to_the_right = np.real(centres[:, _THUMB] - centres[:, _LITTLE]) > 0
    hands = np.where(to_the_right[:, None], -np.conj(centres), centres)
    places = median([_normal(hand) for hand in hands])
    for _ in range(4):
        places = median([fit(hand, places) for hand in hands])
    return places


def lay_all_over(centres: Points, places: Points) -> list[Laid]:
    """Every hand, [N, C] in pixels, laid over the usual places."""
    by_name = [min(_distance(fit(side, places), places) for side in _sides(hand)) for hand in centres]
    good = TYPICAL * float(np.median(by_name))
    return [lay_over(hand, places, good) for hand in centres]


def lay_over(hand: Points, places: Points, good: float) -> Laid:
    """Lay one hand, [C] in pixels, over the usual places.

    The frame is found from where bones are, not from what they are called. A mean distance of `good` or less ends the
    search, which begins with the names.
    """
    present = np.flatnonzero(~np.isnan(hand))
    best, nearest = None, np.inf
    for start in _starts(hand, places):
        moved, taken = _settle(start, places, present)
        distance = _distance(moved[present], places[taken[present]])
        if best is None or distance < nearest:
            best, nearest = (moved, taken), distance
        if nearest <= good:
            break
    assert best is not None
    return Laid(*best, unit_px=float(np.nanstd(hand) / np.nanstd(best[0])))


def fit(hand: Points, places: Points) -> Points:
    """The hand moved, turned and scaled onto places, by least squares with outliers weighed down."""
    weight = (~np.isnan(hand) & ~np.isnan(places)).astype(np.float64)
    z, m, moved = np.nan_to_num(hand), np.nan_to_num(places), hand
    for _ in range(4):
        total = weight.sum()
        middle_z, middle_m = (weight * z).sum() / total, (weight * m).sum() / total
        z0, m0 = z - middle_z, m - middle_m
        turn = (weight * np.conj(z0) * m0).sum() / max((weight * np.abs(z0) ** 2).sum(), 1e-12)
        moved = turn * (hand - middle_z) + middle_m
        error = np.abs(moved - places)
        weight = np.nan_to_num(1 / (1 + (error / max(float(np.nanmedian(error)), 1e-6)) ** 2))
    return moved


def assigned(cost: Floats) -> Indices:
    """The column of each row in the cheapest one-to-one assignment; a cost of nan is the last choice."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(np.nan_to_num(cost, nan=1e6))
    return np.asarray(columns, np.intp)


def median(points: list[Points] | Points) -> Points:
    """The median over the first axis, of each coordinate alone."""
    stacked = np.asarray(points)
    middle: Points = np.nanmedian(stacked.real, axis=0) + 1j * np.nanmedian(stacked.imag, axis=0)
    return middle


def _sides(hand: Points) -> tuple[Points, Points]:
    return hand, -np.conj(hand)


def _starts(hand: Points, places: Points) -> Iterator[Points]:
    """First guesses: by the names, then by the outline of all bones, either side, leaning either way."""
    for side in _sides(hand):
        yield fit(side, places)
    for lean, side in itertools.product(LEANS_DEG, _sides(hand)):
        yield _normal(side) * np.exp(1j * np.deg2rad(lean)) * np.nanstd(places) + np.nanmean(places)


def _settle(start: Points, places: Points, present: Indices) -> tuple[Points, Indices]:
    """Match bones with places and move the hand onto them, in turn, until nothing changes."""
    moved, taken = start, np.arange(len(places))
    for _ in range(12):
        distance = np.abs(moved[present, None] - places[None, :])
        matched = taken.copy()
        matched[present] = assigned(np.minimum(distance, 2 * LOST) ** 2)
        moved = fit(moved, places[matched])
        if (matched == taken).all():
            break
        taken = matched
    return moved, taken


def _distance(moved: Points, places: Points) -> float:
    return float(np.nanmean(np.minimum(np.abs(moved - places), LOST)))


def _normal(hand: Points) -> Points:
    """The hand about its middle, at the frame's size."""
    return np.asarray((hand - np.nanmean(hand)) / np.nanstd(hand), np.complex128)
