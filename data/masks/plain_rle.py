"""Run-length encoding of one plain mask: bool[H, W] ⇄ the contest's text `start length start length …`.

Starts count from 1 along the rows. `data.masks.rle` does the same for the packed masks of many classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data.masks import rle
from utils.arrays import Mask, Size
from utils.errors import UserError


def encode(mask: npt.NDArray[Any]) -> str:
    """Return the text of a mask bool[H, W], or of numbers that are 0 outside; empty for an empty mask.

    Raises `UserError` for an array of another shape.
    """
    if np.ndim(mask) != 2:
        raise UserError(f"rle.encode: expected a mask of shape [H, W], got {list(np.shape(mask))}.")
    packed = (np.asarray(mask) != 0).astype(np.uint8)[..., None]
    return rle.to_text(rle.encode(packed, 1)[0])


def decode(text: str, size_hw: Size) -> Mask:
    """Return the mask bool[H, W] of a text: the inverse of `encode`.

    Raises `UserError` for a text that is malformed, or that leaves an image of this size (height, width).
    """
    try:
        return np.asarray(rle.decode([rle.from_text(text)], size_hw)[..., 0] != 0)
    except ValueError as error:
        raise UserError(f"rle.decode: {error}.") from error
