"""Mended masks: the same pixels as OpenCV's connected components give, class by class."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data.masks.packed import pack, unpack
from data.masks.postprocess import POSTPROCESSES, fill_holes, keep_largest, postprocess_mask
from utils.arrays import Mask

CLASSES = 11


def random_masks() -> list[Mask]:
    """Small images bool[H, W, C] from nearly empty to nearly full, one pixel high or wide ones among them."""
    rng = np.random.default_rng(5)
    sizes = [(1, 1), (1, 17), (17, 1), *(tuple(rng.integers(2, 24, 2)) for _ in range(60))]
    return [rng.random((height, width, CLASSES)) < rng.random() for height, width in sizes]


def largest(mask_HW: Mask) -> Mask:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    size = max(stats[1:, cv2.CC_STAT_AREA], default=0)
    alike = [pieces == index for index in range(1, count) if stats[index, cv2.CC_STAT_AREA] == size]
    return np.asarray(min(alike, key=lambda piece: np.flatnonzero(piece)[0], default=mask_HW))


def filled(mask_HW: Mask) -> Mask:
    around = np.pad(~mask_HW, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(around, connectivity=4)
    return np.asarray((pieces != pieces[0, 0])[1:-1, 1:-1])


def test_the_largest_piece_of_each_class_stays() -> None:
    for masks in random_masks():
        mended = unpack(keep_largest()(pack(masks), CLASSES), CLASSES)
        assert all(np.array_equal(mended[..., c], largest(masks[..., c])) for c in range(CLASSES))


def test_what_a_class_encloses_is_filled() -> None:
    for masks in random_masks():
        mended = unpack(fill_holes()(pack(masks), CLASSES), CLASSES)
        assert all(np.array_equal(mended[..., c], filled(masks[..., c])) for c in range(CLASSES))


def test_cleanups_follow_one_another() -> None:
    ring_and_dot = np.zeros((9, 12, 1), np.bool_)
    ring_and_dot[1:8, 1:8], ring_and_dot[2:7, 2:7], ring_and_dot[4, 10] = True, False, True
    mended = unpack(postprocess_mask(pack(ring_and_dot), 1, (keep_largest(), fill_holes())), 1)[..., 0]
    assert mended[1:8, 1:8].all()
    assert mended.sum() == 49


def test_a_piece_in_a_hole_is_covered_with_it() -> None:
    island = np.ones((5, 5, 1), np.bool_)
    island[1:4, 1:4, 0] = [[False, False, False], [False, True, False], [False, False, False]]
    assert fill_holes()(pack(island), 1).all()


@pytest.mark.parametrize("name", POSTPROCESSES)
def test_the_mask_that_is_given_is_left_alone(name: str) -> None:
    packed = pack(np.random.default_rng(1).random((20, 20, CLASSES)) < 0.6)
    before = packed.copy()
    mended = POSTPROCESSES[name]()(packed, CLASSES)
    assert np.array_equal(packed, before)
    assert not np.array_equal(mended, before)
    assert np.array_equal(POSTPROCESSES[name]()(mended, CLASSES), mended), "a second time changes nothing"


def test_nothing_to_mend_costs_no_copy() -> None:
    whole = pack(np.ones((8, 8, 3), np.bool_))
    assert postprocess_mask(whole, 3, (keep_largest(), fill_holes())) is whole
