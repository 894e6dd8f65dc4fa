"""Grounds to lay objects on that need no picture: plain, gradient and noise, in random colours."""

# A ground has the shape of the image that it is for: grey, uint8[H, W], or RGB, uint8[H, W, 3].
from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from transform.base import size_of
from utils.arrays import Floats, Pixels, Size

COARSEST, FINEST = 3, 256
"""Bumps of noise along a side."""


def plain(image: Pixels, rng: np.random.Generator) -> Pixels:
    """One colour."""
    return _mixed(np.zeros(size_of(image), np.uint8), image, rng)


def gradient(image: Pixels, rng: np.random.Generator) -> Pixels:
    """From one colour to another in a random direction."""
    height, width = size_of(image)
    angle = rng.uniform(0, 2 * math.pi)
    along = math.cos(angle) * np.arange(width, dtype=np.float32)
    along = along + (math.sin(angle) * np.arange(height, dtype=np.float32))[:, None]
    return _mixed(_spread(along), image, rng)


def noise(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Bumps of several sizes between two colours, from clouds to grain."""
    size_hw = size_of(image)
    roughness, total = rng.uniform(0.4, 1.0), np.zeros(size_hw, np.float32)
    cells, weight = COARSEST, 1.0
    while cells <= min(FINEST, *size_hw):
        total += weight * _bumps(cells, size_hw, rng)
        cells, weight = 3 * cells, weight * roughness
    return _mixed(_spread(total), image, rng)


GENERATED: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "plain": plain,
    "gradient": gradient,
    "noise": noise,
}


def _bumps(cells: int, size_hw: Size, rng: np.random.Generator) -> np.ndarray:
    """float32[H, W], -0.5..0.5: a random number at each of `cells` x `cells` points, and smooth between them."""
    points = rng.random((cells, cells), np.float32) - 0.5
    return np.asarray(cv2.resize(points, size_hw[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _spread(share_HW: np.ndarray) -> Pixels:
    """uint8[H, W]: the same from 0 to 255."""
    return np.asarray(cv2.normalize(share_HW, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U), np.uint8)


def _mixed(share_HW: Pixels, image: Pixels, rng: np.random.Generator) -> Pixels:
    """Mix two random colours: the first where the share is 0, the second where it is 255."""
    first, second = _colour(rng), _colour(rng)
    if image.ndim == 2:
        first, second = first[:1], second[:1]
    levels = first + np.linspace(0, 1, 256)[:, None] * (second - first)
    planes = [cv2.LUT(share_HW, np.rint(level).astype(np.uint8)) for level in levels.T]
    return np.asarray(planes[0] if image.ndim == 2 else cv2.merge(planes), np.uint8)


def _colour(rng: np.random.Generator) -> Floats:
    """float64[3]: a grey, more or less tinted."""
    tint = rng.uniform(0, 60)
    return np.asarray((rng.uniform(0, 255) + rng.normal(0, tint, 3)).clip(0, 255), np.float64)
