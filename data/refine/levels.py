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
    return _stretched


def cutoff(*, level: Annotated[float, Field(ge=0, le=0.9)] = 0.2, opaque_from: Share = 0.95) -> Refine:
    """Make faint pixels transparent and nearly opaque ones opaque; stretch the values between.

    level: values up to here become 0.
    opaque_from: values from here become 1.
    """
    return partial(_cut, level=level, opaque_from=max(opaque_from, level + 0.01))


def gamma(*, exponent: Annotated[float, Field(ge=0.1, le=0.9)] = 0.5) -> Refine:
    """Raise the values to a power: thin and faint parts become stronger.

    exponent: the smaller, the stronger.
    """
    return partial(_raised, exponent=exponent)


def _stretched(_image: Image, alpha: Floats32) -> Floats32:
    low, high = float(alpha.min()), float(alpha.max())
    return alpha if high <= low else (alpha - np.float32(low)) / np.float32(high - low)


def _cut(_image: Image, alpha: Floats32, *, level: float, opaque_from: float) -> Floats32:
    stretched = (alpha - np.float32(level)) / np.float32(opaque_from - level)
    return np.asarray(stretched.clip(0, 1), np.float32)


def _raised(_image: Image, alpha: Floats32, *, exponent: float) -> Floats32:
    return np.asarray(alpha ** np.float32(exponent))
