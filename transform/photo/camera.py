"""What a camera does to an image: motion blur and JPEG compression."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from transform.base import Intensity, Probability, Transform, refuse_reversed
from utils.arrays import Floats32, Pixels

Length = Annotated[float, Field(ge=1, le=200, description="pixels of the model's input")]
Quality = Annotated[int, Field(ge=1, le=100)]
POINTS_PER_PX = 4


def motion_blur(*, low_px: Length = 3.0, high_px: Length = 12.0, p: Probability = 0.5) -> Transform:
    """Blur along a straight line of a random direction, `low_px` to `high_px` long, as a camera that moved does.

    The line has its middle in the pixel, so the image stays in step with its mask.
    """
    refuse_reversed(low_px=low_px, high_px=high_px)
    return Intensity(partial(_blur_along, low_px, high_px), p)


def jpeg(*, low: Quality = 30, high: Quality = 90, p: Probability = 0.5) -> Transform:
    """Compress as JPEG with a quality between `low` and `high`, and decode again.

    albumentations gives the encoder red for blue, so its losses are not those of a photograph.
    """
    refuse_reversed(low=low, high=high)
    return Intensity(partial(_compress, low, high), p)


def _blur_along(low_px: float, high_px: float, image: Pixels, rng: np.random.Generator) -> Pixels:
    kernel = line_kernel(rng.uniform(low_px, high_px), rng.uniform(0, math.pi))
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT), np.uint8)


def line_kernel(length_px: float, angle_rad: float) -> Floats32:
    """Return the weights float32[side, side] of a line through the middle; they are symmetric and sum to 1.

    The weight of each point of the line is divided among the four pixels around it, as in linear interpolation.
    """
    reach = max(1, math.ceil((length_px - 1) / 2))
    steps = np.linspace(-(length_px - 1) / 2, (length_px - 1) / 2, math.ceil(length_px * POINTS_PER_PX))
    pixels = np.arange(-reach, reach + 1)
    across, down = (
        np.maximum(0, 1 - np.abs(pixels[:, None] - steps * part)) for part in (math.cos(angle_rad), math.sin(angle_rad))
    )
    return np.asarray(down @ across.T / len(steps), np.float32)


def _compress(low: int, high: int, image: Pixels, rng: np.random.Generator) -> Pixels:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))]
    is_grey = image.ndim == 2
    _, content = cv2.imencode(".jpg", image if is_grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    decoded = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR)
    return np.asarray(decoded if is_grey else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
