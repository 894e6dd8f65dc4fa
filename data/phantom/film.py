"""Develops the film: from attenuation along the beam to the grey image that a viewer shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data.phantom.pose import PIXELS_PER_MM
from data.phantom.variation import FilmVariation

Film = NDArray[np.float32]


def develop(attenuation: Film, film: FilmVariation, size_px: int) -> NDArray[np.uint8]:
    """The grey image, uint8 [size_px, size_px], of a film's attenuation (0 in air) at the same or a finer pixel."""
    rng = np.random.default_rng(film.seed)
    size = len(attenuation)
    pixel_mm = 1 / (PIXELS_PER_MM * size)
    sharp = cv2.GaussianBlur(attenuation, (0, 0), max(film.blur_mm / pixel_mm, 0.3))
    grain = np.exp(sharp / 2) / np.sqrt(film.photons * pixel_mm**2)
    seen = sharp + grain * cv2.GaussianBlur(rng.standard_normal(sharp.shape, dtype=np.float32), (0, 0), 0.6)
    seen -= film.levelling * (_large_scale(sharp, 14) - 0.4) * np.clip(sharp / 0.2, 0, 1)
    seen += film.sharpening * (seen - _large_scale(sharp, 1.5))
    if size != size_px:
        seen = cv2.resize(seen, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return _to_grey(seen, film)


def _large_scale(film: Film, blur_mm: float) -> Film:
    """The film blurred by a Gaussian of `blur_mm`, computed on a coarse copy."""
    coarse_px = 256 if blur_mm > 4 else min(len(film), 1024)
    coarse = cv2.resize(film, (coarse_px, coarse_px), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(coarse, (0, 0), blur_mm * PIXELS_PER_MM * coarse_px)
    fine: Film = cv2.resize(blurred, film.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return fine


def _to_grey(seen: Film, film: FilmVariation) -> NDArray[np.uint8]:
    """The developing curve: nothing for air, then a toe, a straight part and a shoulder."""
    exposure = np.clip(seen * film.gain, 0, None) ** (1.5 * film.contrast)
    grey = exposure / (exposure + 1.2)
    levels: NDArray[np.uint8] = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    return levels
