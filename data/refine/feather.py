"""A soft transition from inside to outside, for masks with hard edges."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import Refine
from utils.arrays import Floats32, Image


def feather(*, radius_px: Annotated[int, Field(ge=1, le=200)] = 3) -> Refine:
    """Blur the alpha, so that hard edges become soft.

    radius_px: how far from an edge values change.
    """
    return partial(_blurred, radius_px=radius_px)


def _blurred(_image: Image, alpha: Floats32, *, radius_px: int) -> Floats32:
    side = 2 * radius_px + 1
    blurred = cv2.GaussianBlur(alpha, (side, side), radius_px / 2, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred.clip(alpha.min(), alpha.max()), np.float32)
