"""A small sample: grey image and packed masks that touch every edge, of any number of bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from utils.arrays import Pixels


@pytest.fixture
def image_HW() -> Pixels:
    """uint8[60, 64]: blobs and some noise, every level of grey."""
    rows, columns = np.mgrid[:60, :64]
    waves = 127 * (1 + np.sin(rows / 7) * np.cos(columns / 5))
    return np.asarray(waves + np.random.default_rng(1).integers(0, 2, waves.shape), np.uint8)


@pytest.fixture
def packed_of() -> Callable[[int], Pixels]:
    """For a number of classes, their masks bool[H, W, C] as bits: uint8[60, 64, K]."""

    def make(classes: int) -> Pixels:
        coarse = np.random.default_rng(classes).random((12, 16, classes)) < 0.4
        fine = coarse.repeat(5, axis=0).repeat(4, axis=1)
        return np.packbits(fine, axis=-1, bitorder="little")

    return make
