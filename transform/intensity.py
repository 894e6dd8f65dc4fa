"""Transforms that change grey values or colours and leave every pixel in its place.

Most are those of albumentations under our names; `noise` is not, because albumentations draws it from the one generator
that all of cv2 shares within a thread.
"""

# An image is grey, uint8[H, W], or RGB, uint8[H, W, 3].
from __future__ import annotations

import copy
import os
import random
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from transform.base import Intensity, Probability, Transform, refuse_reversed
from utils.arrays import Pixels

Change = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def clahe(*, clip: Positive = 2.0, tiles: Annotated[int, Field(ge=1, le=64)] = 8, p: Probability = 1.0) -> Transform:
    """Contrast-limited adaptive histogram equalisation on `tiles` x `tiles` tiles; of RGB, the lightness alone.

    It draws nothing, so list it in `transform.evaluate` too if it is in `transform.train`.
    """
    return Intensity(_albumented("CLAHE", clip_limit=(clip, clip), tile_grid_size=(tiles, tiles)), p)


def brightness_contrast(*, brightness: Change = 0.2, contrast: Change = 0.2, p: Probability = 0.5) -> Transform:
    """Multiply pixel values by 1 ± `contrast`, add up to ± `brightness` of the full range, and clip."""
    limits = {
        "brightness_limit": (-brightness, brightness),
        "contrast_limit": (-contrast, contrast),
    }
    return Intensity(_albumented("RandomBrightnessContrast", **limits), p)


def gamma(*, low: Positive = 0.8, high: Positive = 1.25, p: Probability = 0.5) -> Transform:
    """Raise pixel values on a 0..1 scale to a power between `low` (brighter) and `high` (darker)."""
    refuse_reversed(low=low, high=high)
    return Intensity(_albumented("RandomGamma", gamma_limit=(100 * low, 100 * high)), p)


def invert(*, p: Probability = 0.5) -> Transform:
    """Replace each value by 255 minus it, as some archives store films."""
    return Intensity(_invert, p)


def noise(*, low: Change = 0.01, high: Change = 0.04, p: Probability = 0.5) -> Transform:
    """Add normal noise with a standard deviation between `low` and `high` of the full range; clipped."""
    refuse_reversed(low=low, high=high)
    return Intensity(partial(_add_noise, low, high), p)


def blur(*, low_px: Positive = 0.3, high_px: Positive = 1.5, p: Probability = 0.5) -> Transform:
    """Blur by a Gaussian with a standard deviation between `low_px` and `high_px` pixels of the model's input."""
    refuse_reversed(low_px=low_px, high_px=high_px)
    return Intensity(_albumented("GaussianBlur", blur_limit=0, sigma_limit=(low_px, high_px)), p)


def coarse_dropout(
    *,
    holes: Annotated[int, Field(ge=1)] = 8,
    low: Annotated[float, Field(gt=0, lt=1)] = 0.02,
    high: Annotated[float, Field(gt=0, lt=1)] = 0.08,
    p: Probability = 0.5,
) -> Transform:
    """Blacken 1 to `holes` rectangles, each side between `low` and `high` of the image's; the mask stays."""
    refuse_reversed(low=low, high=high)
    sides = {"hole_height_range": (low, high), "hole_width_range": (low, high)}
    return Intensity(_albumented("CoarseDropout", num_holes_range=(1, holes), **sides), p)


@dataclass(frozen=True)
class Albumented:
    """One albumentations transform that draws from our generator.

    By itself it draws from one that the operating system seeds, and a seeded `Compose` gives all of its transforms the
    same seed, so that they fire together or not at all. Its generators are attributes: a call works on its own shallow
    copy, so that threads may share one pipeline.
    """

    transform: Any

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        own = copy.copy(self.transform)
        own.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        changed: Pixels = own(image=image)["image"]
        return changed


def _albumented(name: str, **parameters: Any) -> Albumented:
    """Build an albumentations transform that always applies. The library is imported here, which takes seconds.

    It asks the package index for a newer version when imported; a run must not depend on the network.
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return Albumented(getattr(albumentations, name)(**parameters, p=1.0))


def _invert(image: Pixels, rng: np.random.Generator) -> Pixels:
    return np.asarray(cv2.bitwise_not(image), np.uint8)


def _add_noise(low: float, high: float, image: Pixels, rng: np.random.Generator) -> Pixels:
    deviation = rng.uniform(low, high) * 255
    draws = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    levels = np.rint(deviation * _normal_deviates()).astype(np.int16)
    return np.asarray(cv2.add(image, cv2.LUT(draws, levels), dtype=cv2.CV_8U), np.uint8)


@cache
def _normal_deviates() -> npt.NDArray[np.float64]:
    """float64[256]: standard normal deviates in the middles of 256 equally likely intervals, scaled to a variance of 1.

    One random byte a pixel instead of one float: 1 ms instead of 9 at 1024 px. The missing tails cannot be seen.
    """
    normal = NormalDist()
    deviates = np.array([normal.inv_cdf((index + 0.5) / 256) for index in range(256)])
    return np.asarray(deviates / deviates.std(), np.float64)
