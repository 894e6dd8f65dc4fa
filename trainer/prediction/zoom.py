"""A closer look at objects that are small in their image: what surrounds them is predicted at the network's full size.

Shapes: C classes, h/w a network's output, H/W the native image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from utils.arrays import Image, Mask, Size

MARGIN = 0.12
"""What is added around the objects, as a share of the longer side of what they fill."""

CLOSE = 0.75
"""There is no closer look if the surroundings are at least so large a share of the image's longer side."""

SPECK = 0.02
"""A piece with a smaller share of all pixels that are found does not count."""

FINEST = 3.0
"""The surroundings are so large that the closer look is at most so many times finer."""

OUTSIDE = -20.0
"""The logit away from the surroundings, where no object is."""


@dataclass(frozen=True)
class Surroundings:
    """A part of an image in pixels of the native image."""

    top: int
    left: int
    bottom: int
    right: int

    def cut(self, image: Image) -> Image:
        """Return the part of an image [H, W] or [H, W, 3]."""
        return np.ascontiguousarray(image[self.top : self.bottom, self.left : self.right])

    def spread(self, logits_Chw: Tensor, native_hw: Size) -> Tensor:
        """Return the logits of the whole image, on a grid as fine as these of the part; elsewhere is no object."""
        classes, height, width = logits_Chw.shape
        finer = np.array([height / (self.bottom - self.top), width / (self.right - self.left)])
        rows, columns = np.maximum(np.rint(native_hw * finer), (height, width)).astype(int).tolist()
        top, left = np.rint((self.top, self.left) * finer).astype(int).tolist()
        top, left = min(top, rows - height), min(left, columns - width)
        whole = logits_Chw.new_full((classes, rows, columns), OUTSIDE)
        whole[:, top : top + height, left : left + width] = logits_Chw
        return whole


def surroundings_of(found_hw: Mask, native_hw: Size) -> Surroundings | None:
    """Return the surroundings of what was found, bool[h, w], in an image of a size.

    None if nothing was found, or if a closer look would not be closer.
    """
    count, _, pieces, _ = cv2.connectedComponentsWithStats(found_hw.view(np.uint8))
    pieces = pieces[1:]  # the first is the ground
    if count < 2:
        return None
    pieces = pieces[pieces[:, cv2.CC_STAT_AREA] >= SPECK * pieces[:, cv2.CC_STAT_AREA].sum()]
    begins = pieces[:, [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT]]
    ends = begins + pieces[:, [cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]]
    scale = np.array(native_hw) / found_hw.shape
    begin, end = begins.min(axis=0) * scale, ends.max(axis=0) * scale
    longer = max(native_hw)
    missing = np.maximum(0, longer / FINEST - (end - begin).max()) / 2
    around = max(MARGIN * (end - begin).max(), missing)
    top, left = np.maximum(0, np.floor(begin - around)).astype(int).tolist()
    bottom, right = np.minimum(native_hw, np.ceil(end + around)).astype(int).tolist()
    if max(bottom - top, right - left) >= CLOSE * longer:
        return None
    return Surroundings(top, left, bottom, right)
