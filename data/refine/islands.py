"""Remove what does not belong to the object: parts apart from it.

A part is counted in pixels, never measured by the area inside its contour: a line of 1 px has an area of 0, but it is
a hair.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import Refine
from utils.arrays import Bools, Floats32, Image

FAINT = 0.05
"""Pixels from this alpha on connect parts, so that a strand which fades and returns stays."""


def islands(
    *,
    keep: Literal["main", "min_area"] = "main",
    area: Annotated[float, Field(ge=0, le=0.5)] = 0.001,
    level: Annotated[float, Field(gt=0, le=0.9)] = 0.2,
) -> Refine:
    """Make parts transparent that are apart from the object.

    keep: main, the largest part and all that faint pixels join to it; or min_area, every part with enough pixels.
    area: the least share of the picture's pixels that a part has, for min_area.
    level: pixels above this alpha are counted.
    """
    return partial(_without_islands, keep=keep, area=area, level=level)


def _without_islands(_image: Image, alpha: Floats32, *, keep: str, area: float, level: float) -> Floats32:
    count, labels = cv2.connectedComponents((alpha > FAINT).view(np.uint8), connectivity=8)
    if count <= 2:
        return alpha
    # Pixels of each part that are above the level; label 0 is what is outside all parts.
    pixels = np.bincount(labels[alpha > level], minlength=count)
    pixels[0] = 0
    stays = _largest(pixels) if keep == "main" else pixels >= max(1, area * alpha.size)
    if stays.all() or not stays.any():
        return alpha
    stays[0] = True
    return np.where(stays[labels], alpha, np.float32(0))


def _largest(pixels: np.ndarray) -> Bools:
    return np.asarray(np.arange(len(pixels)) == pixels.argmax())
