from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.transform.names import HAND
from transform import MaskFormat, Pipeline, Transform, for_masks
from transform.ulnar_deviation import Bones, UlnarDeviation, find_wrist, turning, ulnar_deviation
from utils.arrays import Pixels
from utils.errors import UserError

SIDE = 160
MASKS = MaskFormat(HAND)
LUNATE, THIRD, TRIQUETRUM, RADIUS, ULNA = 24, 10, 25, 27, 28
BARS: dict[int, tuple[float, float, float, float]] = {
    LUNATE: (80, 92, 5, 5),
    2: (112, 70, 5, 14),
    6: (95, 56, 4, 22),
    THIRD: (80, 54, 4, 24),
    18: (58, 60, 4, 20),
    21: (80, 82, 7, 3),
    22: (68, 84, 4, 4),
    23: (91, 90, 5, 4),
    TRIQUETRUM: (68, 92, 3, 3),
    26: (66, 94, 2, 2),
    RADIUS: (92, 130, 12, 30),
    ULNA: (64, 132, 8, 30),
}
"""Centre and half axes in pixels of a left hand's bones, each an ellipse; the ulna is on the left."""


def hand(*, bend_deg: float = 0.0, mirrored: bool = False) -> tuple[Pixels, Pixels]:
    """Image and packed mask of a hand that is bent by so much, as bones that turn about the lunate."""
    masks = np.zeros((SIDE, SIDE, 29), np.uint8)
    angle = math.radians(-bend_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array(BARS[LUNATE][:2])
    for index, (x, y, wide, high) in BARS.items():
        place = np.array([x, y]) if index in (RADIUS, ULNA) else centre + turn @ (np.array([x, y]) - centre)
        degrees = 0 if index in (RADIUS, ULNA) else -bend_deg
        drawn = np.zeros((SIDE, SIDE), np.uint8)
        box = ((float(place[0]), float(place[1])), (2 * wide, 2 * high), degrees)
        masks[:, :, index] = cv2.ellipse(drawn, box, 1, -1)
    masks = masks[:, ::-1] if mirrored else masks
    image = np.asarray(masks.max(axis=2) * 200, np.uint8)
    return np.ascontiguousarray(image), np.packbits(masks, axis=2, bitorder="little")


def bone(packed_HWK: Pixels | None, index: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (np.asarray(packed_HWK)[:, :, index // 8] >> (index % 8) & 1).astype(np.bool_)
    return found


def bend_of(packed_HWK: Pixels | None) -> float:
    wrist = find_wrist(np.asarray(packed_HWK), Bones.among(HAND), MASKS)
    assert wrist is not None
    return wrist.bend_deg


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def bent_to(degrees: float) -> Pipeline:
    return Pipeline([ulnar_deviation(min_deg=degrees, max_deg=degrees, p=1.0)], masks=MASKS)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("before", "wanted"), [(0, 25), (0, 10), (28, 0), (20, 30), (5, 5)])
def test_the_wrist_gets_the_angle_wanted_on_either_hand(before: float, wanted: float, mirrored: bool) -> None:
    _, packed = bent_to(wanted)(*hand(bend_deg=before, mirrored=mirrored), seed=0)
    assert bend_of(packed) == pytest.approx(wanted, abs=0.7)


def test_the_hand_leans_towards_the_ulna() -> None:
    """The ulna is on the left, so the third metacarpal goes there."""
    image, before = hand()
    _, after = bent_to(25)(image, before, seed=0)
    assert np.nonzero(bone(after, THIRD))[1].mean() < np.nonzero(bone(before, THIRD))[1].mean() - 10


@pytest.mark.parametrize("index", [2, 6, THIRD, 18])
def test_bones_of_the_hand_turn_as_a_whole(index: int) -> None:
    _, bent = bent_to(25)(*hand(), seed=0)
    assert overlap(bone(bent, index), bone(hand(bend_deg=25)[1], index)) > 0.93


@pytest.mark.parametrize("index", [RADIUS, ULNA])
def test_the_forearm_stays(index: int) -> None:
    image, before = hand()
    changed, after = bent_to(30)(image, before, seed=0)
    assert overlap(bone(before, index), bone(after, index)) > 0.97
    assert np.array_equal(bone(before, index)[115:], bone(after, index)[115:])
    assert np.array_equal(image[125:, 50:105], changed[125:, 50:105])


def test_small_bones_of_the_carpus_keep_their_size() -> None:
    image, before = hand()
    _, after = bent_to(25)(image, before, seed=0)
    for index in (LUNATE, 21, 22, 23, TRIQUETRUM):
        assert 0.75 < bone(after, index).sum() / bone(before, index).sum() < 1.3


@pytest.mark.parametrize("turn_deg", [-35, 20, 35])
def test_nothing_is_folded_over_itself(turn_deg: float) -> None:
    """The area that a pixel comes from is positive all over."""
    wrist = find_wrist(hand()[1], Bones.among(HAND), MASKS)
    assert wrist is not None
    warp = turning(wrist, math.radians(turn_deg))
    (x_y, x_x), (y_y, y_x) = np.gradient(warp.x_HW), np.gradient(warp.y_HW)
    assert (x_x * y_y - x_y * y_x).min() > 0


def test_image_and_mask_move_together() -> None:
    image, packed = bent_to(25)(*hand(), seed=0)
    drawn = np.asarray(np.asarray(packed).any(axis=2), np.bool_)
    assert overlap(image > 100, drawn) > 0.98


def test_the_turn_has_a_limit() -> None:
    _, packed = Pipeline([ulnar_deviation(min_deg=45, max_deg=45, p=1.0)], masks=MASKS)(*hand(bend_deg=-10), seed=0)
    assert bend_of(packed) == pytest.approx(25, abs=0.7)


def test_the_seed_decides_the_angle() -> None:
    pipeline = Pipeline([ulnar_deviation(min_deg=0, max_deg=30, p=1.0)], masks=MASKS)
    angles = [bend_of(pipeline(*hand(), seed=seed)[1]) for seed in range(12)]
    assert angles == [bend_of(pipeline(*hand(), seed=seed)[1]) for seed in range(12)]
    assert min(angles) < 10
    assert max(angles) > 20


@pytest.mark.parametrize("missing", [LUNATE, THIRD, RADIUS, ULNA])
def test_without_a_bone_that_the_angle_needs_nothing_happens(missing: int) -> None:
    image, packed = hand()
    packed[:, :, missing // 8] &= np.uint8(255 - (1 << missing % 8))
    changed, after = bent_to(25)(image, packed, seed=0)
    assert np.array_equal(changed, image)
    assert np.array_equal(np.asarray(after), packed)


def test_without_a_mask_or_with_one_of_a_single_class_nothing_happens() -> None:
    image, packed = hand()
    assert np.array_equal(bent_to(25)(image, None, seed=0)[0], image)
    assert np.array_equal(bent_to(25)(image, packed[:, :, :1], seed=0)[0], image)


def test_sizes_may_be_anything() -> None:
    image, packed = hand()
    for height, width in ((700, 300), (64, 40), (31, 33)):
        rows, columns = (np.arange(height) * SIDE // height)[:, None], np.arange(width) * SIDE // width
        changed, after = bent_to(20)(image[rows, columns], packed[rows, columns], seed=0)
        assert changed.shape == (height, width)
        assert after.shape == (height, width, 4)


def test_bones_are_found_by_name_if_classes_are_others() -> None:
    prepared = for_masks(ulnar_deviation(), MaskFormat((*(f"bone-{index}" for index in range(3)), *HAND)))
    assert isinstance(prepared, UlnarDeviation)
    assert prepared.bones is not None
    assert (prepared.bones.lunate, prepared.bones.radius, prepared.bones.hand) == (27, 30, tuple(range(3, 27)))
    assert Bones.among(HAND).lunate == LUNATE


def test_soft_masks_turn_as_bits_do() -> None:
    image, packed = hand()
    alpha = np.unpackbits(packed, axis=2, count=29, bitorder="little") * np.uint8(255)
    bits = bent_to(25)(image, packed, seed=0)[1]
    soft = Pipeline([ulnar_deviation(min_deg=25, max_deg=25, p=1.0)], masks=MaskFormat(HAND, soft=True))
    turned, alphas = soft(image, alpha, seed=0)
    assert np.array_equal(turned, bent_to(25)(image, packed, seed=0)[0])
    for index in BARS:
        assert overlap(alphas[:, :, index] > 127, bone(bits, index)) > 0.9


def test_a_task_without_the_bones_is_refused() -> None:
    with pytest.raises(UserError, match="no class Lunate"):
        for_masks(ulnar_deviation(), MaskFormat(("foreground",)))


def test_images_are_not_moved_before_the_bones_are_known() -> None:
    transform: Transform = ulnar_deviation()
    with pytest.raises(ValueError, match="for_masks has to be called"):
        transform(*hand(), np.random.default_rng(0))


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(UserError, match="min_deg: 20 is above max_deg 10"):
        ulnar_deviation(min_deg=20, max_deg=10)
