from __future__ import annotations

import numpy as np
import pytest

from data.films.depth import in_8_bits
from tests.dicoms import noise


def test_widened_8_bits_return_as_they_were_however_dark() -> None:
    for brightest in (255, 127, 20, 0):
        values = np.arange(brightest + 1, dtype=np.uint16)[None]
        np.testing.assert_array_equal(in_8_bits(values * 257), values)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_largest_value_of_the_bits_that_are_used_becomes_white(bits: int) -> None:
    top = 2**bits - 1
    values = np.array([[0, top // 2, top - 1, top]], np.uint16)
    np.testing.assert_array_equal(in_8_bits(values), np.rint(values * (255 / top)))


def test_an_image_with_a_value_above_12_bits_has_14() -> None:
    assert in_8_bits(np.array([[4096, 5]], np.uint16))[0, 0] == 64


def test_declared_bits_count_and_what_lies_above_is_white() -> None:
    np.testing.assert_array_equal(in_8_bits(np.array([[100, 4095, 9000]], np.uint16), 12), [[6, 255, 255]])


def test_the_order_of_values_is_kept() -> None:
    values = np.sort(noise(12), axis=None)[None]
    assert (np.diff(in_8_bits(values).astype(int)) >= 0).all()
