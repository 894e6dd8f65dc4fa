"""Whether each bone lies where its name belongs, as the bones around it have it; exchanged names come to light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.hand_bone.checks.frame import Laid, Points, assigned, lay_all_over, median, usual_places
from utils.arrays import Floats, Indices

# Shapes: N hands, C classes (29), F features of a bone's form; nan where a class is absent.
NEIGHBOURS = 6
"""So many nearest bones say how a bent wrist or a spread finger has moved its surroundings."""

SPREAD_FLOOR = 0.015
"""Outlines of one bone in two images differ about as much, in the frame's unit."""

FAR, MISSHAPEN = 60.0, 30.0
"""Where the costs (chi-square) of a wrong place and of a wrong form stop growing: one gross fault moves no others."""


@dataclass(frozen=True)
class Atlas:
    """The usual hand of a data set, in the common frame."""

    places: Points
    """[C]."""
    spread: Floats
    """[C], how far a bone strays from where its neighbours would have it, as a standard deviation."""
    neighbours: Indices
    """[C, NEIGHBOURS]."""


@dataclass(frozen=True)
class Places:
    """Where one hand's bones lie, seen from the atlas."""

    taken: Indices
    """[C], the class whose place and shape each bone has; itself where nothing is wrong, or where it is absent."""
    cycles: list[tuple[list[int], float]]
    """Bones that exchanged their names among each other, and how much better (chi-square) they fit the right ones."""
    off_px: Floats
    """[C], the distance from where the neighbours would have the bone; nan where it is absent."""
    unit_px: float
    """The frame's unit in this hand's pixels."""


def atlas_of(centres: Points) -> tuple[Atlas, list[Laid]]:
    """The usual hand of a set, [N, C] in pixels, and every hand laid over it."""
    places = usual_places(centres)
    laid = lay_all_over(centres, places)
    distance = np.nan_to_num(np.abs(places[:, None] - places[None, :]), nan=np.inf)
    neighbours = np.argsort(distance, axis=1)[:, 1 : NEIGHBOURS + 1]
    off = np.array([np.abs(hand.by_place() - _expected(hand, places, neighbours)) for hand in laid])
    # The median distance in two dimensions is 1.18 standard deviations of each.
    spread = np.maximum(np.nanmedian(off, axis=0) / 1.18, SPREAD_FLOOR)
    return Atlas(places, spread, neighbours), laid


def places_of(atlas: Atlas, hand: Laid, form: Floats, usual: Floats, spread: Floats) -> Places:
    """Whose place and form each bone of a hand has.

    `form` is what else tells bones apart, [C, F]; `usual` and `spread`, [C, F], are its medians and deviations.
    """
    expected = _expected(hand, atlas.places, atlas.neighbours)
    cost = np.minimum(np.abs(hand.points[:, None] - expected[None, :]) ** 2 / atlas.spread**2, FAR)
    cost += np.minimum((form[:, None] - usual[None, :]) ** 2 / spread**2, MISSHAPEN).sum(axis=2)
    present = np.flatnonzero(~np.isnan(hand.points))
    names = np.arange(len(cost))
    names[present] = assigned(cost[present])
    cycles = [(cycle, float(sum(cost[i, i] - cost[i, names[i]] for i in cycle))) for cycle in cycles_of(names)]
    return Places(names, cycles, np.abs(hand.points - expected) * hand.unit_px, hand.unit_px)


def cycles_of(names: Indices) -> list[list[int]]:
    """The chains in which names have wandered, each closed or ending at a name that is absent."""
    left = {index for index, name in enumerate(names.tolist()) if name != index}
    found = []
    while left:
        chain = _chain(names, min(left - {names[index] for index in left}, default=min(left)))
        found.append(chain)
        left -= {*chain}
    return found


def _chain(names: Indices, start: int) -> list[int]:
    chain, index = [start], int(names[start])
    while index != start and names[index] != index:
        chain.append(index)
        index = int(names[index])
    return chain


def _expected(hand: Laid, places: Points, neighbours: Indices) -> Points:
    """[C], where the bones around each place would have the bone that belongs there."""
    shift = (hand.by_place() - places)[neighbours]
    return places + median(shift.T)
