"""From the grey values of a detector to 8 bits: one rule for all formats, which looks at one image alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from utils.arrays import Floats, Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that detectors have. A file stores them in 16, and seldom says how many count."""
_WIDENED = 257
"""A program that widens 8 bits to 16 multiplies by it, so that 255 becomes 65535."""


def in_8_bits(values: npt.NDArray[Any], bits: int | None = None) -> Image:
    """Return grey values uint16[H, W] as uint8[H, W]: 0 stays 0, and the largest value of so many bits becomes 255.

    Without `bits` they are the fewest of 8, 10, 12, 14 and 16 that hold the image's largest value. Values that are all
    multiples of 257 are widened 8-bit values, which return as they were.
    """
    if bits is None and not (values % _WIDENED).any():
        return np.asarray(values // _WIDENED, np.uint8)
    top = 2 ** (depth_of(values) if bits is None else bits) - 1
    table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
    return np.asarray(table[np.minimum(values, top)], np.uint8)


def depth_of(values: npt.NDArray[Any]) -> int:
    """Return the fewest bits of `DEPTHS` that hold the largest of non-negative values below 65536."""
    largest = int(values.max())
    return next(bits for bits in DEPTHS if largest < 2**bits)


def between(values: Floats, low: float, high: float) -> Image:
    """Return values [H, W] as uint8[H, W]: `low` and less becomes 0, `high` and more 255; `low` may be the larger."""
    return np.rint(np.clip((values - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
