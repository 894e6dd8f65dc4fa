"""Phantom hands have the areas, overlaps and angles of the contest's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data.hand_bone.classes import BONES

if TYPE_CHECKING:
    from tests.data.phantom.conftest import Cast

# fmt: off
CONTEST_AREAS_PX = (
    8116, 16709, 27269,
    5186, 10104, 22065, 36091,
    5925, 12770, 24681, 32868,
    5760, 11215, 20682, 24606,
    4075, 6590, 14567, 24843,
    10075, 6322, 16058, 11524, 11671, 8576, 7429, 4760,
    81607, 44000,
)
# fmt: on
"""Mean areas of 288 test hands in the 2048 px frame, in class order."""


def test_mean_areas_are_the_contests(casts: list[Cast]) -> None:
    means = np.mean([cast.areas for cast in casts], axis=0)
    factors = means / np.array(CONTEST_AREAS_PX)
    off = {bone: round(float(f), 2) for bone, f in zip(BONES, factors, strict=True) if not 1 / 1.2 < f < 1.2}
    assert not off


def test_areas_spread_as_the_contests_do(casts: list[Cast]) -> None:
    areas = np.array([cast.areas for cast in casts])
    spread = areas.std(axis=0) / areas.mean(axis=0)
    assert 0.11 < spread.mean() < 0.16
    assert spread.min() > 0.07


def test_shares_of_bone_and_overlap_are_the_contests(casts: list[Cast]) -> None:
    assert 0.110 < np.mean([cast.bone_share for cast in casts]) < 0.126
    assert 0.004 < np.mean([cast.overlap_share for cast in casts]) < 0.006
    assert all(cast.overlap_share > 0.001 for cast in casts)


def test_pairs_that_always_overlap(casts: list[Cast]) -> None:
    for one, other in (("Triquetrum", "Pisiform"), ("Trapezium", "Trapezoid")):
        assert all(cast.overlaps[BONES.index(one), BONES.index(other)] for cast in casts)


def test_straight_wrists_stand_upright_and_bent_ones_lean_to_the_little_finger(casts: list[Cast]) -> None:
    straight = np.array([cast.wrist_deg for cast in casts if not cast.bent])
    right = np.array([cast.wrist_deg for cast in casts if cast.bent and not cast.left])
    left = np.array([cast.wrist_deg for cast in casts if cast.bent and cast.left])
    assert abs(straight.mean()) < 3
    assert np.abs(straight).max() < 15
    for lean in (right, -left):
        assert lean.min() > 20
        assert lean.max() < 42
        assert 27 < lean.mean() < 34


def test_all_bones_are_inside_and_the_forearm_leaves_below(casts: list[Cast]) -> None:
    forearm = np.array([bone in ("Radius", "Ulna") for bone in BONES])
    assert all((cast.areas > 0).all() for cast in casts)
    assert all((cast.on_border == forearm).all() for cast in casts)
