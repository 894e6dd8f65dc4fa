from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transform import nearest

NUMBERS = st.floats(-2, 2)
MATRICES = st.tuples(*[NUMBERS, NUMBERS, st.floats(-90, 90)] * 2).map(lambda six: np.array(six).reshape(2, 3))


def noise(height: int, width: int, bytes_each: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, bytes_each), np.uint8)


@given(MATRICES, st.integers(1, 70), st.integers(1, 70))
def test_any_affine_warp_is_that_of_cv2(matrix: np.ndarray, height: int, width: int) -> None:
    (a, b, _), (c, d, _) = matrix.tolist()  # numpy's determinant warns of numbers below 1e-308
    assume(abs(a * d - b * c) > 0.05)
    packed = noise(height, width, 4)
    usual = cv2.warpAffine(packed, matrix, (width, height), flags=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(nearest.warp_affine(packed, matrix), usual.reshape(packed.shape))


@pytest.mark.parametrize("bytes_each", [1, 2, 3, 4, 5, 8, 9])
def test_each_byte_moves_alike_however_many_there_are(bytes_each: int) -> None:
    packed, matrix = noise(40, 31, bytes_each), cv2.getRotationMatrix2D((15, 20), 25, 1.1)
    turned, smaller = nearest.warp_affine(packed, matrix), nearest.resize(packed, (17, 23))
    assert (turned.shape, smaller.shape) == ((40, 31, bytes_each), (17, 23, bytes_each))
    assert turned.flags.c_contiguous
    assert smaller.flags.c_contiguous
    for index in range(bytes_each):
        alone = np.ascontiguousarray(packed[:, :, index : index + 1])
        np.testing.assert_array_equal(turned[:, :, index], nearest.warp_affine(alone, matrix)[:, :, 0])
        np.testing.assert_array_equal(smaller[:, :, index], nearest.resize(alone, (17, 23))[:, :, 0])


def test_at_2048_px_it_is_cv2s_to_the_last_pixel() -> None:
    """Far from the corner fixed-point coordinates have had the longest way to drift."""
    coordinates = np.arange(2048 * 2048, dtype=np.uint32).view(np.uint8).reshape(2048, 2048, 4)
    matrix = cv2.getRotationMatrix2D((1023.5, 1023.5), 11.3, 0.97)
    usual = cv2.warpAffine(coordinates, matrix, (2048, 2048), flags=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(nearest.warp_affine(coordinates, matrix), usual)


def test_a_matrix_without_an_inverse_moves_all_but_its_line_out() -> None:
    packed = noise(9, 9, 4)
    moved = nearest.warp_affine(packed, np.array([[1e-120, 0, 0], [0, 1, 0]]))
    assert moved.shape == packed.shape
    assert not moved[:, 1:].any()
