"""Whether a label can belong to its image: both must be in one frame, that of the pixels as they are stored."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from utils.arrays import Ring, Size

CORNER = 0.6
"""Share of the image's sides. A label within that upper left corner is one of a smaller frame: half of it, or 0 to 1.

A hand fills its image and its forearm crosses the lower edge. In an image with a wide margin it may end early at one
side, not at both."""
SMALLEST = 0.1
"""Share of the image's longer side; a label that is nowhere larger is no hand."""


def is_outside(ring: Ring, size_hw: Size) -> bool:
    """Whether a polygon lies wholly outside an image."""
    return bool((ring.max(axis=0) < 0).any() or (ring.min(axis=0) >= size_hw[::-1]).any())


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
