"""The object's own colours at its soft edges, where a photograph shows a mixture of object and ground.

Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021: colours are averaged over windows, weighted by the
alpha for the object and by its rest for the ground, and corrected so that both mix to the photograph. pymatting's
multi-level estimate is about as close to the truth; but importing it compiles for most of a minute on its first start,
and fails if neither its folder nor the home can be written.
"""

# Shapes: H/W pixels of the photograph, h/w of a copy or tile.
from __future__ import annotations

import cv2
import numpy as np

from data.refine.base import as_colours, box, enlarged, grown, size_of_copy, tiles_with, within
from utils.arrays import Bytes, Floats32, Image

FAR_PX = 45
"""Radius of the first windows, in pixels of the copy."""
NEAR_PX = 3
"""Radius of the second windows, in pixels of the photograph."""


def object_colours(image: Image, alpha: Bytes) -> Image:
    """Return a photograph uint8[H, W, 3] with the object's own, straight colours at soft edges.

    `alpha` is uint8[H, W]. Pixels that are opaque, or farther than some pixels from all soft ones, stay as they are.
    """
    band = grown((alpha > 0) & (alpha < 255), NEAR_PX) & (alpha < 255)
    if not band.any():
        return image
    size = size_of_copy(alpha.shape)
    small = as_colours(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    far = _fused(small, small, small, _share(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)), FAR_PX)
    coloured = image.copy()
    for place, wider in tiles_with(band, 2 * NEAR_PX):
        front, behind = (enlarged(colours, wider, alpha.shape) for colours in far)
        near, _ = _fused(as_colours(image[wider]), front, behind, _share(alpha[wider]), NEAR_PX)
        values = np.round(near[within(place, wider)] * 255).astype(np.uint8)
        coloured[place] = np.where(band[place][..., None], values, image[place])
    return coloured


def _share(alpha: Bytes) -> Floats32:
    return np.asarray(alpha, np.float32)[..., None] / np.float32(255)


def _fused(
    colours: Floats32, front: Floats32, behind: Floats32, share: Floats32, radius_px: int
) -> tuple[Floats32, Floats32]:
    """Return the colours of object and ground, float32[h, w, 3] each, from earlier ones and the share [h, w, 1]."""
    rest = 1 - share
    tiny = np.float32(1e-5)
    mean_front = box(front * share, radius_px) / (box(share, radius_px)[..., None] + tiny)
    mean_behind = box(behind * rest, radius_px) / (box(rest, radius_px)[..., None] + tiny)
    corrected = mean_front + share * (colours - share * mean_front - rest * mean_behind)
    return corrected.clip(0, 1), mean_behind.clip(0, 1)
