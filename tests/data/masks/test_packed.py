from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.masks import packed as masks

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
CLASS_COUNTS = st.sampled_from([1, 7, 8, 9, 29, 32, 33, 40])


@st.composite
def stacks(draw: st.DrawFn, count: int = 1) -> list[np.ndarray]:
    """`count` masks bool[H, W, C] of one shape."""
    shape = (*draw(SIZES), draw(CLASS_COUNTS))
    return [draw(hnp.arrays(np.bool_, shape)) for _ in range(count)]


@st.composite
def rings(draw: st.DrawFn) -> np.ndarray:
    """A ring around, across, or beside a small image; convex or not, crossing itself or not."""
    return draw(hnp.arrays(np.int32, st.tuples(st.integers(3, 9), st.just(2)), elements=st.integers(-40, 70)))


@given(stacks())
def test_pack_and_unpack_are_inverse_for_any_number_of_classes(stack: list[np.ndarray]) -> None:
    (mask,) = stack
    packed = masks.pack(mask)
    assert packed.shape == (*mask.shape[:2], -(-mask.shape[2] // 8))
    np.testing.assert_array_equal(masks.unpack(packed, mask.shape[2]), mask)


@given(stacks())
def test_planes_are_the_same_masks_with_the_class_first(stack: list[np.ndarray]) -> None:
    (mask,) = stack
    packed, classes = masks.pack(mask), mask.shape[2]
    np.testing.assert_array_equal(masks.pack_planes(mask.transpose(2, 0, 1)), packed)
    np.testing.assert_array_equal(masks.unpack_planes(packed, classes), mask.transpose(2, 0, 1))
    np.testing.assert_array_equal(masks.plane(packed, classes - 1), mask[..., -1])


def test_class_c_is_bit_c_mod_8_of_byte_c_div_8() -> None:
    mask = np.zeros((1, 1, 29), np.bool_)
    mask[0, 0, [0, 9, 28]] = True
    assert masks.pack(mask)[0, 0].tolist() == [1, 2, 0, 16]


@given(st.lists(st.tuples(st.integers(0, 28), rings()), max_size=6), SIZES)
def test_filling_in_boxes_equals_filling_the_full_canvas(
    polygons: list[tuple[int, np.ndarray]], size_hw: tuple[int, int]
) -> None:
    size_hw = (3 * size_hw[0], 2 * size_hw[1])
    expected = np.zeros((29, *size_hw), np.uint8)
    for index, ring in polygons:
        cv2.fillPoly(expected[index], [ring], 1)
    packed = masks.fill_polygons(polygons, size_hw, 29)
    np.testing.assert_array_equal(masks.unpack_planes(packed, 29), expected.astype(np.bool_))


def test_a_later_polygon_adds_to_its_class_and_overlaps_others() -> None:
    square = np.array([[0, 0], [3, 0], [3, 3], [0, 3]], np.int32)
    packed = masks.fill_polygons([(5, square), (5, square + 4), (6, square + 2)], (8, 8), 29)
    assert masks.areas(packed, 29)[[5, 6]].tolist() == [32, 16]
    assert masks.plane(packed, 5)[1, 1]


@given(stacks(count=2))
def test_counted_bits_give_the_dice_of_floats(pair: list[np.ndarray]) -> None:
    pred, true = pair
    classes = pred.shape[2]
    total = pred.sum((0, 1), dtype=np.float64) + true.sum((0, 1))
    with np.errstate(invalid="ignore"):
        expected = np.where(total == 0, 1.0, 2 * (pred & true).sum((0, 1)) / total)
    packed_pred, packed_true = masks.pack(pred), masks.pack(true)
    np.testing.assert_array_equal(masks.dice(packed_pred, packed_true, classes), expected)
    np.testing.assert_array_equal(masks.areas(packed_pred, classes), pred.sum((0, 1)))


def test_a_class_absent_from_both_scores_1_and_from_one_0() -> None:
    empty, full = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 1, np.uint8)
    assert masks.dice(empty, full, 2).tolist() == [0.0, 1.0]


def test_masks_of_different_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        masks.dice(np.zeros((2, 2, 1), np.uint8), np.zeros((4, 4, 1), np.uint8), 3)
