"""From attenuation to what a detector records and its system processes: scatter, blur, quanta, edges, levelling.

Shapes: H, W pixels of the film. A signal is the attenuation that the detector has seen: 0 in air, greater behind bone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from data.phantom.develop import DARKEST
from data.phantom.wide.draw import chance, log_uniform, uniform
from data.phantom.wide.ranges import Ranges
from utils.arrays import Floats32

SCATTER_MM = (8.0, 25.0)


def detect(rng: Generator, ranges: Ranges, attenuation_HW: Floats32, per_mm: float) -> Floats32:
    """Return the signal of a detector: scattered quanta lower contrast, and counted quanta are noisy."""
    quanta = np.exp(-np.minimum(attenuation_HW, DARKEST))
    quanta = cv2.GaussianBlur(quanta, (0, 0), max(uniform(rng, ranges.blur_mm) * per_mm, 0.3))
    share = np.float32(uniform(rng, ranges.scatter))
    quanta = (1 - share) * quanta + share * blurred(quanta, float(rng.uniform(*SCATTER_MM)) * per_mm)
    quanta *= _heel(rng, quanta.shape)
    counted = log_uniform(rng, ranges.photons) / per_mm**2
    grain = rng.standard_normal(quanta.shape, dtype=np.float32)
    noisy = quanta + np.sqrt(quanta / np.float32(counted)) * cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.3, 0.9))
    signal: Floats32 = -np.log(np.maximum(noisy, np.float32(np.exp(-DARKEST - 1))))
    return signal


def process(rng: Generator, ranges: Ranges, signal_HW: Floats32, per_mm: float) -> Floats32:
    """Process as digital systems do: reduce large-scale differences, and enhance edges of one or two sizes."""
    seen = signal_HW
    if chance(rng, 0.6):
        inside = np.clip(seen / 0.2, 0, 1)
        level = blurred(seen, float(rng.uniform(8, 25)) * per_mm)
        seen = seen - np.float32(uniform(rng, ranges.levelling)) * (level - 0.4) * inside
    for _ in range(int(rng.integers(0, 3))):
        detail = seen - blurred(seen, log_uniform(rng, ranges.sharpening_mm) * per_mm)
        seen = seen + np.float32(uniform(rng, ranges.sharpening)) * detail
    return seen


def blurred(image_HW: Floats32, blur_px: float) -> Floats32:
    """Return an image blurred by a Gaussian; a wide one is computed on a coarse copy."""
    factor = max(1, int(blur_px / 4))
    if factor == 1:
        plain: Floats32 = cv2.GaussianBlur(image_HW, (0, 0), max(blur_px, 0.3))
        return plain
    height, width = image_HW.shape
    coarse = cv2.resize(image_HW, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(coarse, (0, 0), blur_px / factor)
    fine: Floats32 = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    return fine


def _heel(rng: Generator, size_hw: tuple[int, ...]) -> Floats32:
    """Return the unevenness of the beam, a factor near 1 at each pixel."""
    across, down = np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15)
    x, y = np.linspace(-1, 1, size_hw[1], dtype=np.float32), np.linspace(-1, 1, size_hw[0], dtype=np.float32)
    return np.exp(np.float32(across) * x + np.float32(down) * y[:, None])
