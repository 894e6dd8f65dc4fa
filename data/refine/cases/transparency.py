"""Glass: a network says that it is there, and its alpha is 1, although the ground shines through."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from data.refine.base import (
    Planes,
    Refine,
    Share,
    box,
    dot,
    enlarged,
    grown,
    planes_of,
    size_of_copy,
    tiles_of,
    wider,
    within,
)
from utils.arrays import Bools, Floats32, Image

BESIDE_PX = 6
"""How far from the object's edge the ground's colours are taken, in pixels of the copy."""
ALIKE, HAZE = 0.06, 0.25
"""Colours differ so little, as a mean over red, green and blue in 0..1, from those of the ground with some white, at
most such a share, if the ground shines through."""
UNLIKE = 0.5
"""Where one of the three differs so much from the ground, the object is opaque."""
LEAST = 0.2
"""Nothing becomes more transparent than this share of its alpha."""
BLUR_PX = 8
"""Farther than that, the blur of what is found has no effect."""
FROM, TO = 0.5, 0.7
"""Shares of the inside that are alike at which the confidence is 0 and 1."""


def transparency(*, confidence: Share = 0.5) -> Refine:
    """Make glass as transparent as the ground shines through, if the object is taken for glass.

    confidence: how sure that must be, 0 to 1. Things of the ground's colour are taken for glass, too.
    """
    return Refine(partial(_thin, confidence=confidence))


def glass_confidence(image: Image, alpha: Floats32) -> float:
    """Return how sure it is that an object is transparent, 0..1.

    That follows from the share of its inside whose pixels have the colours of the ground beside it, under a haze. Their
    mean is not enough: that of black and white stripes is the colour of grey ground.
    """
    colours, small = _copies(image, alpha)
    inside, beside = _regions(small)
    if not inside.any() or not beside.any():
        return 0.0
    share = float((_apart(colours, _nearby(colours, beside)) < ALIKE)[inside].mean())
    return min(1.0, max(0.0, (share - FROM) / (TO - FROM)))


def _apart(colours: Planes, ground: Planes) -> Floats32:
    """Return how far each colour is from the ground's with the best share of white, float32[h, w] in 0..1."""
    white = [1 - plane for plane in ground]
    seen = [colour - plane for colour, plane in zip(colours, ground, strict=True)]
    haze = (dot(seen, white) / (dot(white, white) + np.float32(1e-4))).clip(0, HAZE)
    rest = [np.abs(one - haze * other) for one, other in zip(seen, white, strict=True)]
    return np.asarray((rest[0] + rest[1] + rest[2]) / 3, np.float32)


def _thin(image: Image, alpha: Floats32, *, confidence: float) -> None:
    found = glass_confidence(image, alpha)
    if found == 0 or found < confidence:
        return
    colours, small = _copies(image, alpha)
    _, beside = _regions(small)
    ground = cv2.merge(_nearby(colours, beside))
    for tile in tiles_of(alpha.shape):
        around = wider(tile, BLUR_PX, alpha.shape)
        behind = cv2.split(enlarged(ground, around, alpha.shape))
        away = [np.abs(one - other) for one, other in zip(planes_of(image[around]), behind, strict=True)]
        share = (np.maximum.reduce(away) / np.float32(UNLIKE)).clip(LEAST, 1)
        alpha[tile] *= cv2.GaussianBlur(share, (0, 0), 1)[within(tile, around)]


def _copies(image: Image, alpha: Floats32) -> tuple[Planes, Floats32]:
    """Return the colours, three planes, and the alpha float32[h, w] of a small copy."""
    size = size_of_copy(alpha.shape)
    colours, small = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (image, alpha))
    return planes_of(colours), small


def _regions(alpha: Floats32) -> tuple[Bools, Bools]:
    """Return the inside of an object and the ground beside it."""
    inside = alpha > 0.5
    return inside, grown(inside, BESIDE_PX) & ~inside


def _nearby(colours: Planes, mask: Bools) -> list[Floats32]:
    """Return the mean colour of a mask's pixels in the neighbourhood of each pixel, or of all if it has none."""
    weights = mask.astype(np.float32)
    radius = max(4, max(mask.shape) // 8)
    share = box(weights, radius)
    near = [box(plane * weights, radius) / np.maximum(share, np.float32(1e-6)) for plane in colours]
    of_all = [plane[mask].mean() for plane in colours]
    return [np.where(share > 1e-4, plane, mean) for plane, mean in zip(near, of_all, strict=True)]
