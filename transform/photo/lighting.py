"""Light between lamp and camera: shadows, glare and fog.

Each draws a share float32 in 0..1 for every pixel on a coarse grid, by which the pixel goes towards black, white or
the grey of fog. albumentations' shadows have hard edges alone; its fog takes 1.5 s and its flare 0.2 s at 1024 px, and
both refuse grey images.
"""

# Shapes: h/w points of the coarse grid, H/W pixels. An image is grey, uint8[H, W], or RGB, uint8[H, W, 3].
from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from transform.base import Intensity, Probability, Transform, refuse_reversed, size_of
from utils.arrays import Floats32, Pixels, Size

Strength = Annotated[float, Field(ge=0, le=1)]
Drawn: TypeAlias = "Callable[[Size, np.random.Generator], Floats32]"  # numpy.random is loaded if it draws
"""(h, w) of the grid → the share of each point, 1 at its largest."""

GRID_SIDE = 192
"""Points along the longer side of the grid; less where the image has fewer pixels."""
PENUMBRA = 0.06
"""Largest standard deviation of a shadow's edge, as a share of the image."""
FOG_GREYS = (190, 250)


def shadow(*, low: Strength = 0.2, high: Strength = 0.6, p: Probability = 0.5) -> Transform:
    """Darken a region of a random outline by `low` to `high` of the light; its edge is sharp or soft."""
    refuse_reversed(low=low, high=high)
    return Intensity(partial(_shade, low, high), p)


def glare(
    *, spots: Annotated[int, Field(ge=1, le=20)] = 2, low: Strength = 0.3, high: Strength = 0.9, p: Probability = 0.5
) -> Transform:
    """Whiten 1 to `spots` soft ellipses, in their middle by `low` to `high` of what is missing to white."""
    refuse_reversed(low=low, high=high)
    return Intensity(partial(_dazzle, spots, low, high), p)


def fog(*, low: Strength = 0.1, high: Strength = 0.5, p: Probability = 0.5) -> Transform:
    """Veil the image in uneven fog of a light grey, which takes `low` to `high` of each pixel at its densest."""
    refuse_reversed(low=low, high=high)
    return Intensity(partial(_veil, low, high), p)


def _shade(low: float, high: float, image: Pixels, rng: np.random.Generator) -> Pixels:
    return _towards(0, rng.uniform(low, high) * _region(_grid_hw(image), rng), image)


def _dazzle(spots: int, low: float, high: float, image: Pixels, rng: np.random.Generator) -> Pixels:
    strength, grid_hw = rng.uniform(low, high), _grid_hw(image)
    lit = [_ellipse(grid_hw, rng) for _ in range(int(rng.integers(1, spots + 1)))]
    return _towards(255, strength * np.max(lit, axis=0), image)


def _veil(low: float, high: float, image: Pixels, rng: np.random.Generator) -> Pixels:
    strength, grey = rng.uniform(low, high), int(rng.integers(*FOG_GREYS, endpoint=True))
    return _towards(grey, strength * _clouds(_grid_hw(image), rng), image)


def _grid_hw(image: Pixels) -> Size:
    """(h, w) of the coarse grid for an image."""
    height, width = size_of(image)
    scale = min(1.0, GRID_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _towards(level: int, share_hw: Floats32, image: Pixels) -> Pixels:
    """Take each pixel by its share of the way to `level`; by a share of 0 it stays as it is."""
    share_HW = cv2.resize(np.asarray(share_hw, np.float32), size_of(image)[::-1], interpolation=cv2.INTER_LINEAR)
    parts = np.rint(255 * share_HW).astype(np.uint8)
    added = cv2.LUT(parts, np.rint(np.arange(256) * level / 255).astype(np.uint8))
    kept = 255 - parts
    if image.ndim == 3:
        kept, added = cv2.merge([kept] * 3), cv2.merge([added] * 3)
    return np.asarray(cv2.add(cv2.multiply(image, kept, scale=1 / 255), added), np.uint8)


def _region(grid_hw: Size, rng: np.random.Generator) -> Floats32:
    """Return a polygon about a random point, with a penumbra of a random width."""
    height, width = grid_hw
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
    reach = rng.uniform(0.2, 0.8, corners) * max(grid_hw)
    middle_xy = rng.uniform(0, 1, 2) * (width, height)
    points = middle_xy + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    region = np.zeros(grid_hw, np.float32)
    cv2.fillPoly(region, [np.rint(points).astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(region, (0, 0), rng.uniform(0.5, 1 + PENUMBRA * max(grid_hw))), np.float32)


def _ellipse(grid_hw: Size, rng: np.random.Generator) -> Floats32:
    """Return a Gaussian about a random point, longer in a random direction."""
    height, width = grid_hw
    angle, radius = rng.uniform(0, math.pi), rng.uniform(0.04, 0.2) * max(grid_hw)
    x_w = np.arange(width, dtype=np.float32) - rng.uniform(0, width)
    y_h1 = (np.arange(height, dtype=np.float32) - rng.uniform(0, height))[:, None]
    along, across = x_w * math.cos(angle) + y_h1 * math.sin(angle), y_h1 * math.cos(angle) - x_w * math.sin(angle)
    flatness = rng.uniform(1, 4)
    return np.asarray(np.exp(-((along / radius) ** 2 + (flatness * across / radius) ** 2) / 2), np.float32)


def _clouds(grid_hw: Size, rng: np.random.Generator) -> Floats32:
    """Return noise between 0.4 and 1, with bumps of a quarter and of an eighth of the image."""
    total = np.zeros(grid_hw, np.float32)
    for cells, weight in ((4, 0.7), (8, 0.3)):
        points = rng.uniform(0, 1, (cells, cells)).astype(np.float32)
        total += weight * cv2.resize(points, grid_hw[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.asarray(0.4 + 0.6 * total, np.float32)
