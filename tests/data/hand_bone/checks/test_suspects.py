from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from data.check.finding import Finding
from data.hand_bone.checks.suspects import FEWEST_HANDS, Hand, suspects
from data.hand_bone.classes import BONES
from utils.arrays import Ring

Polygons = list[tuple[int, Ring]]
Plant = Callable[[dict[int, Polygons]], list[Hand]]


def renamed(polygons: Polygons, names: dict[str, str]) -> Polygons:
    places = {BONES.index(old): BONES.index(new) for old, new in names.items()}
    return [(places.get(index, index), ring) for index, ring in polygons]


def with_ring(polygons: Polygons, name: str, *more: Ring) -> Polygons:
    return [*polygons, *((BONES.index(name), ring) for ring in more)]


def ring_of(polygons: Polygons, name: str) -> Ring:
    return next(ring for index, ring in polygons if index == BONES.index(name))


def ellipse(middle: np.ndarray, half_wide: float, half_high: float) -> Ring:
    return np.asarray(
        cv2.ellipse2Poly((round(middle[0]), round(middle[1])), (round(half_wide), round(half_high)), 0, 0, 360, 6),
        np.int32,
    )


def told(findings: list[Finding]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(finding.kind, finding.file, finding.classes) for finding in findings]


def test_hands_of_both_sides_with_bent_wrists_are_not_suspected(planted: Plant) -> None:
    assert suspects(planted({})) == []


def test_a_small_hand_is_not_suspected(planted: Plant, drawn: list[Polygons]) -> None:
    small = [(index, np.rint((ring - 200) * 0.7 + 200).astype(np.int32)) for index, ring in drawn[4]]
    assert suspects(planted({4: small})) == []


@pytest.mark.parametrize("number", [4, 7, 9])
@pytest.mark.parametrize(
    ("one", "other"),
    [("Trapezium", "Trapezoid"), ("Triquetrum", "Pisiform"), ("Radius", "Ulna"), ("finger-4", "finger-16")],
)
def test_two_exchanged_names_are_found_in_hands_straight_mirrored_and_bent(
    planted: Plant, drawn: list[Polygons], number: int, one: str, other: str
) -> None:
    found = suspects(planted({number: renamed(drawn[number], {one: other, other: one})}))
    assert told(found) == [("swapped", f"hand{number}", tuple(sorted((one, other), key=BONES.index)))]
    assert "each other's place" in found[0].found


def test_a_label_whose_names_are_all_mixed_up_is_one_finding(planted: Plant, drawn: list[Polygons]) -> None:
    order = np.random.default_rng(3).permutation(29)
    mixed = [(int(order[index]), ring) for index, ring in drawn[5]]
    (finding,) = suspects(planted({5: mixed}))
    moved = tuple(BONES[index] for index in range(29) if order[index] != index)
    assert (finding.kind, finding.file, finding.classes) == ("swapped", "hand5", moved)


def test_the_one_mixed_up_label_does_not_hide_another_fault(planted: Plant, drawn: list[Polygons]) -> None:
    order = np.random.default_rng(4).permutation(29)
    mixed = [(int(order[index]), ring) for index, ring in drawn[5]]
    pair = renamed(drawn[6], {"Hamate": "Capitate", "Capitate": "Hamate"})
    assert {finding.file for finding in suspects(planted({5: mixed, 6: pair}))} == {"hand5", "hand6"}


@pytest.mark.parametrize("name", ["finger-2", "finger-6", "finger-13", "finger-18"])
def test_a_ring_that_widens_a_bone_is_found(planted: Plant, drawn: list[Polygons], name: str) -> None:
    bone = ring_of(drawn[2], name)
    half_wide = np.ptp(bone[:, 0]) * 0.85
    found = suspects(planted({2: with_ring(drawn[2], name, ellipse(bone.mean(axis=0), half_wide, 4))}))
    assert told(found) == [("outline", "hand2", (name,))]
    assert "usual width" in found[0].found


@pytest.mark.parametrize("name", ["finger-6", "Capitate"])
def test_a_ring_that_leaves_a_hole_is_found(planted: Plant, drawn: list[Polygons], name: str) -> None:
    bone = ring_of(drawn[3], name)
    hole = ellipse(bone.mean(axis=0), 3, 3)
    pierced = [(index, ring) for index, ring in drawn[3] if ring is not bone]
    bridged = np.concatenate([bone, bone[:1], hole, hole[:1]])
    found = suspects(planted({3: with_ring(pierced, name, bridged)}))
    assert told(found) == [("outline", "hand3", (name,))]
    assert "hole" in found[0].found


def test_a_loose_part_is_found(planted: Plant, drawn: list[Polygons]) -> None:
    stray = ellipse(ring_of(drawn[1], "Lunate").mean(axis=0) + np.array([0, 60]), 4, 4)
    found = suspects(planted({1: with_ring(drawn[1], "Lunate", stray)}))
    assert told(found) == [("outline", "hand1", ("Lunate",))]
    assert "apart" in found[0].found


def test_a_tiny_pisiform_is_found(planted: Plant, drawn: list[Polygons]) -> None:
    bone = ring_of(drawn[8], "Pisiform")
    tiny = np.rint((bone - bone.mean(axis=0)) * 0.45 + bone.mean(axis=0)).astype(np.int32)
    found = suspects(planted({8: [(i, tiny if ring is bone else ring) for i, ring in drawn[8]]}))
    assert told(found) == [("area", "hand8", ("Pisiform",))]
    assert "in a hand of this size" in found[0].found


def test_a_bone_drawn_elsewhere_is_found(planted: Plant, drawn: list[Polygons]) -> None:
    bone = ring_of(drawn[10], "Scaphoid")
    found = suspects(
        planted({10: [(i, ring + np.array([70, -20]) if ring is bone else ring) for i, ring in drawn[10]]})
    )
    assert told(found) == [("misplaced", "hand10", ("Scaphoid",))]


def test_a_missing_bone_does_not_make_the_others_suspect(planted: Plant, drawn: list[Polygons]) -> None:
    assert suspects(planted({2: drawn[2][:20] + drawn[2][21:]})) == []


def test_a_bone_with_the_name_of_a_missing_one_is_found(planted: Plant, drawn: list[Polygons]) -> None:
    without = [(index, ring) for index, ring in drawn[2] if BONES[index] != "finger-8"]
    found = suspects(planted({2: renamed(without, {"finger-12": "finger-8"})}))
    assert told(found) == [("swapped", "hand2", ("finger-8",))]
    assert found[0].found == "it has the place and shape of finger-12"


def test_a_class_that_no_label_has_is_no_obstacle(planted: Plant, drawn: list[Polygons]) -> None:
    less = {number: polygons[:26] + polygons[27:] for number, polygons in enumerate(drawn)}
    less[6] = renamed(less[6], {"Hamate": "Capitate", "Capitate": "Hamate"})
    assert told(suspects(planted(less))) == [("swapped", "hand6", ("Capitate", "Hamate"))]


def test_few_hands_have_no_distribution(planted: Plant, drawn: list[Polygons]) -> None:
    swapped = renamed(drawn[0], {"Radius": "Ulna", "Ulna": "Radius"})
    assert suspects(planted({0: swapped})[: FEWEST_HANDS - 1]) == []
    assert len(suspects(planted({0: swapped})[:FEWEST_HANDS])) == 1
