"""Developing curves: from a signal (attenuation seen, 0 in air) to grey values 0..1 of the hand on its ground.

Shapes: H, W pixels of the film. Each takes the generator, the signal, the beam (1 in its opening) and the
standard deviation of the logarithm of brightness.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from utils.arrays import Bytes, Floats, Floats32

Curve = Callable[[Generator, Floats32, Floats32, float], Floats32]

HALF_GREY = 0.6
"""Attenuation that becomes half of white on a film of mean exposure, as in the preset `contest`."""


def film(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Apply the curve of a film or of a system that imitates one: toe, slope, shoulder."""
    gain = np.exp(gain_sd * np.clip(rng.normal(), -2.2, 2.2))
    exposure = np.clip(signal * np.float32(gain / HALF_GREY), 0, None) ** np.float32(rng.uniform(0.8, 2.6))
    toned: Floats32 = exposure / (exposure + 1)
    return toned


def window(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Show a window of the signal, as a viewer does; a narrow one clips soft tissue to black or bone to white."""
    tissue, bone = _levels(signal, beam)
    low = tissue * rng.uniform(-0.3, 0.8)
    wide = (bone - low) * np.exp(gain_sd * np.clip(rng.normal(), -2.2, 2.2)) * rng.uniform(0.8, 1.2)
    shown: Floats32 = np.clip((signal - np.float32(low)) / np.float32(max(wide, 0.1)), 0, 1) ** np.float32(
        rng.uniform(0.6, 1.5)
    )
    return shown


def equalised(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Equalise the histogram of the hand, in part or wholly, so that all grey values are about equally frequent."""
    plain = film(rng, signal, beam, gain_sd)
    inside = signal[(beam > 0.5) & (signal > 0.08)]
    if inside.size < 100:
        return plain
    levels = np.quantile(inside[:: max(1, inside.size // 20000)], np.linspace(0, 1, 64))
    rank = np.interp(signal, np.maximum.accumulate(levels), np.linspace(0.0, 1.0, 64)).astype(np.float32)
    floor = np.float32(rng.uniform(0.0, 0.3))
    rank = (floor + (1 - floor) * rank) * np.clip(signal / 0.08, 0, 1)
    share = np.float32(rng.uniform(0.4, 1.0))
    mixed: Floats32 = share * rank + (1 - share) * plain
    return mixed


def local(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Equalise contrast in tiles (CLAHE), which lifts noise and edges in dark parts."""
    plain = window(rng, signal, beam, gain_sd / 2)
    tiles = int(rng.integers(3, 13))
    equaliser = cv2.createCLAHE(float(rng.uniform(1, 5)), (tiles, tiles))
    levels: Bytes = np.rint(255 * plain).astype(np.uint8)
    toned: Floats32 = equaliser.apply(levels).astype(np.float32) / 255
    return toned


def linear(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Show the quanta themselves, not their logarithm, as raw images of some detectors do."""
    power = np.float32(np.exp(0.5 * np.clip(rng.normal(), -2, 2)))
    shown: Floats32 = np.clip(1 - np.exp(-power * np.maximum(signal, 0)), 0, 1)
    return shown


def two_slopes(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Join two straight lines, of which one is for soft tissue and a steeper or flatter one for bone."""
    tissue, bone = _levels(signal, beam)
    knee = (tissue + bone) / 2 * rng.uniform(0.7, 1.3)
    grey: Floats = np.array([0.0, rng.uniform(0.25, 0.7), 1.0])
    end = knee + (bone - tissue) * np.exp(gain_sd * np.clip(rng.normal(), -2, 2))
    return np.interp(signal, [0.0, knee, end], grey).astype(np.float32)


def logistic(rng: Generator, signal: Floats32, beam: Floats32, gain_sd: float) -> Floats32:
    """Apply the sigmoid of DICOM's VOI LUT function SIGMOID, whose centre lies anywhere between tissue and bone."""
    tissue, bone = _levels(signal, beam)
    centre = rng.uniform(tissue, bone) * np.exp(gain_sd / 2 * np.clip(rng.normal(), -2, 2))
    width = (bone - tissue) * rng.uniform(0.4, 2.0) + 0.05
    toned: Floats32 = 1 / (1 + np.exp(-4 * (signal - np.float32(centre)) / np.float32(width)))
    return toned


CURVES: dict[str, Curve] = {
    "film": film,
    "window": window,
    "equalised": equalised,
    "local": local,
    "linear": linear,
    "two_slopes": two_slopes,
    "logistic": logistic,
}


def _levels(signal: Floats32, beam: Floats32) -> tuple[float, float]:
    """Return the signal of thin soft tissue, and that of dense bone."""
    inside = signal[(beam > 0.5) & (signal > 0.08)]
    if inside.size < 100:
        return 0.2, 1.0
    tissue, bone = np.quantile(inside[:: max(1, inside.size // 20000)], (0.1, 0.985))
    return float(tissue), float(max(bone, tissue + 0.1))
