"""A soft transition from inside to outside, for masks with hard edges."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import cv2
from pydantic import Field

from data.refine.base import Refine
from utils.arrays import Floats32, Image


def feather(*, radius_px: Annotated[int, Field(ge=1, le=200)] = 3) -> Refine:
    """Blur the alpha, so that hard edges become soft.

    radius_px: how far from an edge values change.
    """
    return Refine(partial(_blur, radius_px=radius_px))


def _blur(_image: Image, alpha: Floats32, *, radius_px: int) -> None:
    side, low, high = 2 * radius_px + 1, alpha.min(), alpha.max()
    cv2.GaussianBlur(alpha, (side, side), radius_px / 2, dst=alpha, borderType=cv2.BORDER_REPLICATE)
    alpha.clip(low, high, out=alpha)
