"""The object's own colours at its soft edges, where a photograph shows a mixture of object and ground.

Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021: colours are averaged over windows, weighted by the
alpha for the object and by its rest for the ground, and corrected so that both mix to the photograph. pymatting's
multi-level estimate is about as close to the truth; but importing it compiles for most of a minute on its first start,
and fails if neither its folder nor the home can be written.
"""

# Shapes: H/W pixels of the photograph, h/w of a copy or tile.
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.refine.base import (
    Place,
    Planes,
    bounds_of,
    box,
    enlarged,
    grown,
    planes_of,
    size_of_copy,
    tiles_of,
    wider,
    within,
)
from utils.arrays import Bools, Bytes, Floats32, Image

FAR_PX = 45
"""Radius of the first windows, in pixels of the copy."""
NEAR_PX = 3
"""Radius of the second windows, in pixels of the photograph."""


def object_colours(image: Image, alpha: Bytes) -> Image:
    """Return a photograph uint8[H, W, 3] with the object's own, straight colours at soft edges.

    `alpha` is uint8[H, W]. Pixels that are opaque, or farther than some pixels from all soft ones, stay as they are.
    """
    return OwnColours.estimated(image, alpha).rows(slice(0, len(image)))


@dataclass(frozen=True)
class OwnColours:
    """A photograph with the object's own colours at soft edges, of which some rows at a time are made."""

    image: Image
    alpha: Bytes
    far: tuple[Floats32, Floats32]
    """The colours of object and ground in a small copy, float32[h, w, 3] each."""

    @classmethod
    def estimated(cls, image: Image, alpha: Bytes) -> OwnColours:
        """Estimate the colours of object and ground far around each pixel."""
        size = size_of_copy(alpha.shape)
        small = planes_of(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        share = _share(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))
        front, behind = (cv2.merge(planes) for planes in _fused(small, small, small, share, FAR_PX))
        return cls(image, alpha, (front, behind))

    def rows(self, rows: slice) -> Image:
        """Return some rows, uint8[h, W, 3]."""
        coloured = self.image[rows].copy()
        for tile in tiles_of(self.alpha.shape, rows):
            band = self._band(tile)
            place = bounds_of(band, tile)
            if place is not None:
                own, is_soft = self._colours(place), band[within(place, tile)]
                target = coloured[place[0].start - rows.start : place[0].stop - rows.start, place[1]]
                np.copyto(target, own, where=is_soft[..., None])
        return coloured

    def _band(self, tile: Place) -> Bools:
        """Return the pixels of a tile that are soft or near soft ones, and not opaque."""
        around = wider(tile, NEAR_PX, self.alpha.shape)
        alpha = self.alpha[around]
        return (grown((alpha > 0) & (alpha < 255), NEAR_PX) & (alpha < 255))[within(tile, around)]

    def _colours(self, place: Place) -> Image:
        """Return the colours of the object at a place, uint8[h, w, 3]."""
        around = wider(place, 2 * NEAR_PX, self.alpha.shape)
        front, behind = (cv2.split(enlarged(colours, around, self.alpha.shape)) for colours in self.far)
        near, _ = _fused(planes_of(self.image[around]), front, behind, _share(self.alpha[around]), NEAR_PX)
        inner = within(place, around)
        return np.asarray(cv2.merge([np.round(plane[inner] * 255).astype(np.uint8) for plane in near]))


def _share(alpha: Bytes) -> Floats32:
    return np.asarray(alpha, np.float32) / np.float32(255)


def _fused(
    colours: Planes, front: Planes, behind: Planes, share: Floats32, radius_px: int
) -> tuple[list[Floats32], list[Floats32]]:
    """Return the colours of object and ground, three planes each, from earlier ones and the share [h, w]."""
    rest, tiny = 1 - share, np.float32(1e-5)
    of_front, of_behind = (box(each, radius_px) + tiny for each in (share, rest))
    fronts, behinds = [], []
    for colour, one, other in zip(colours, front, behind, strict=True):
        mean_front = box(one * share, radius_px) / of_front
        mean_behind = box(other * rest, radius_px) / of_behind
        corrected = mean_front + share * (colour - share * mean_front - rest * mean_behind)
        fronts.append(corrected.clip(0, 1))
        behinds.append(mean_behind.clip(0, 1))
    return fronts, behinds
