"""Random textures of bone and soft tissue, made on a grid that does not depend on the image's size."""

from __future__ import annotations

import cv2
import numpy as np

from data.phantom.pose import PIXELS_PER_MM
from utils.arrays import Floats32

TRABECULAE_MM = ((0.16, 0.6), (0.3, 0.3))
"""Blur (mm) across and along the image of two kinds of trabeculae; most of them run along the bones."""

TRABECULAE_CONTRAST = 0.17
MOTTLE_MM = (2.5, 7.0)
"""Blur (mm) across and along the image of muscles and fat."""

MOTTLE_CONTRAST = 0.05


def trabeculae(size_px: int, seed: int, zoom: float = 1.0) -> Floats32:
    """Return the density of spongy bone relative to its mean, [size_px, size_px]: mean 1, sd `TRABECULAE_CONTRAST`.

    `zoom` says how many times larger than usual the hand lies on the image.
    """
    rng = np.random.default_rng((seed, 1))
    grid_px = min(size_px, 1024)
    fields = [_noise(rng, grid_px, *blur_mm, zoom) for blur_mm in TRABECULAE_MM]
    return _stretch(sum(fields) * (TRABECULAE_CONTRAST / np.sqrt(len(fields))) + 1, size_px)


def mottle(size_px: int, seed: int, zoom: float = 1.0) -> Floats32:
    """Return attenuation of soft tissue relative to its mean, [size_px, size_px]: mean 1, sd `MOTTLE_CONTRAST`."""
    rng = np.random.default_rng((seed, 2))
    return _stretch(_noise(rng, 128, *MOTTLE_MM, zoom) * MOTTLE_CONTRAST + 1, size_px)


def _noise(rng: np.random.Generator, grid_px: int, across_mm: float, along_mm: float, zoom: float) -> Floats32:
    """Return blurred white noise of mean 0 and sd 1 on a grid over the whole image."""
    per_mm = PIXELS_PER_MM * grid_px * zoom
    white = rng.standard_normal((grid_px, grid_px), dtype=np.float32)
    blurred = cv2.GaussianBlur(white, (0, 0), sigmaX=across_mm * per_mm, sigmaY=along_mm * per_mm)
    field: Floats32 = blurred / blurred.std()
    return field


def _stretch(field: Floats32, size_px: int) -> Floats32:
    stretched: Floats32 = cv2.resize(field.astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    return stretched
