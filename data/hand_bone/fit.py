"""Whether a label can belong to its image: both must be in one frame, that of the pixels as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from utils.arrays import Image, Ring, Size

CORNER = 0.6
"""Share of the image's sides. A label within that upper left corner is one of a smaller frame: half of it, or 0 to 1.

A hand fills its image and its forearm crosses the lower edge. In an image with a wide margin it may end early at one
side, not at both."""
SMALLEST = 0.1
"""Share of the image's longer side; a label that is nowhere larger is no hand."""

SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.43, 1.67, 2.0)
"""Factors by which a label may be too large or too small for its image."""
GAIN = 0.15
"""How much more contrast a label must have at another size. Labels of 60 rendered hands, of 64 and 256 px, have most at
their own; shrunk by 10 % or more they gain 0.22 and more."""


def misfit_of(rings: Iterable[Ring], size_hw: Size) -> str | None:
    """Return why a label's polygons cannot be those of a hand in an image of this size; None if they can."""
    points = [ring for ring in rings if len(ring)]
    if not points:
        return None
    stacked = np.concatenate(points)
    (left, top), (right, bottom) = stacked.min(axis=0).tolist(), stacked.max(axis=0).tolist()
    height, width = size_hw
    if max(right - left, bottom - top) < SMALLEST * max(height, width):
        return f"all outlines together measure {right - left + 1} x {bottom - top + 1} px of {width} x {height} px"
    if right < CORNER * width and bottom < CORNER * height:
        return (
            f"all outlines lie in the upper left {right + 1} x {bottom + 1} px of {width} x {height} px, as in the "
            "frame of a smaller image"
        )
    return None


def scale_misfit_of(rings: Sequence[Ring], size_hw: Size, small: Image) -> str | None:
    """Return why polygons have another scale than their image; None if they fit it.

    `small` is the image, shrunk. Bones differ from what surrounds them most if the outlines have the image's scale.
    """
    shrunk = small.shape[0] / size_hw[0]
    contrasts = {scale: contrast_of(rings, scale * shrunk, small) for scale in SCALES}
    best = max(contrasts, key=contrasts.__getitem__)
    if contrasts[best] - contrasts[1.0] < GAIN:
        return None
    return f"the outlines fit the image better at {best:g} times their size: is the label in the frame of another size?"


def contrast_of(rings: Sequence[Ring], scale: float, image: Image) -> float:
    """Return how much the mean inside the polygons, times `scale`, differs from that around, in standard deviations."""
    inside = np.zeros(image.shape[:2], np.uint8)
    for ring in rings:
        cv2.fillPoly(inside, [np.round(ring * scale).astype(np.int32)], 1)
    width = max(3, image.shape[0] // 40) | 1
    around = cv2.dilate(inside, np.ones((width, width), np.uint8)) - inside
    if not inside.any() or not around.any():
        return 0.0
    difference = float(image[inside > 0].mean()) - float(image[around > 0].mean())
    return abs(difference) / max(float(image.std()), 1.0)
