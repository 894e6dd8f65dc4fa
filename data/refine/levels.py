"""Refinements of single values: the full range, a cut of faint and of nearly opaque pixels, and a power."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from data.refine.base import Refine, Share
from utils.arrays import Floats32, Image


def min_max() -> Refine:
    """Stretch the values to 0..1, as U-2-Net's authors do. In a picture without object a trace becomes opaque."""
    return Refine(_stretch)


def cutoff(*, level: Annotated[float, Field(ge=0, le=0.9)] = 0.2, opaque_from: Share = 0.95) -> Refine:
    """Make faint pixels transparent and nearly opaque ones opaque; stretch the values between.

    level: values up to here become 0.
    opaque_from: values from here become 1.
    """
    return Refine(partial(_cut, level=level, opaque_from=max(opaque_from, level + 0.01)))


def gamma(*, exponent: Annotated[float, Field(ge=0.1, le=0.9)] = 0.5) -> Refine:
    """Raise the values to a power: thin and faint parts become stronger.

    exponent: the smaller, the stronger.
    """
    return Refine(partial(_raise, exponent=exponent))


def _stretch(_image: Image, alpha: Floats32) -> None:
    low, high = float(alpha.min()), float(alpha.max())
    if high > low:
        alpha -= np.float32(low)
        alpha /= np.float32(high - low)


def _cut(_image: Image, alpha: Floats32, *, level: float, opaque_from: float) -> None:
    alpha -= np.float32(level)
    alpha /= np.float32(opaque_from - level)
    alpha.clip(0, 1, out=alpha)


def _raise(_image: Image, alpha: Floats32, *, exponent: float) -> None:
    for row in alpha:  # Powers are slow, and those of 0 and 1 are known.
        soft = (row > 0) & (row < 1)
        row[soft] **= np.float32(exponent)
