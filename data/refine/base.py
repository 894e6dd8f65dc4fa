"""What a refinement is, and what refinements have in common: the uncertain band, and work in tiles of bounded size."""

# Shapes: H/W pixels of the photograph, C classes.
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from utils.arrays import Bools, Floats32, Image

Refine: TypeAlias = Callable[[Image, Floats32], Floats32]
"""A photograph uint8[H, W, 3] (or grey, uint8[H, W]) and an alpha float32[H, W] in 0..1 → the refined alpha.

The given alpha is not changed. An alpha that is 0 or 1 everywhere is returned as it is.
"""
Share = Annotated[float, Field(ge=0, le=1)]

COPY_PX = 400
"""Longest side of the copy in which colours are spread far."""
TILE_PX = 128
"""Side of a tile: arrays of many channels are made for one tile at a time, so memory does not grow with pictures."""


def refine_mask(image: Image, alpha_HWC: Floats32, refinements: Sequence[Refine]) -> Floats32:
    """Apply refinements, one after the other, to the alpha float32[H, W, C] of each class."""
    if not refinements:
        return alpha_HWC
    planes = []
    for plane in np.moveaxis(alpha_HWC, 2, 0):
        for refine in refinements:
            plane = refine(image, plane)
        planes.append(plane)
    return np.stack(planes, axis=2)


def grown(mask: Bools, radius_px: int) -> Bools:
    """Return a mask with all pixels that a square of this radius around one of its pixels contains."""
    square = np.ones((2 * radius_px + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(mask.view(np.uint8), square) > 0)


def tiles_with(mask: Bools, halo_px: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield the tiles that contain pixels of a mask: the place of each, and the same with a halo around it."""
    height, width = mask.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            place = slice(top, min(top + TILE_PX, height)), slice(left, min(left + TILE_PX, width))
            if mask[place].any():
                yield place, (_wider(place[0], halo_px, height), _wider(place[1], halo_px, width))


def within(place: tuple[slice, slice], wider: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return where a tile lies in the same tile with its halo."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(place, wider, strict=True))
    return rows, columns


def size_of_copy(size_hw: Sequence[int]) -> tuple[int, int]:
    """Return width and height of the copy of a picture, which is never larger than the picture."""
    height, width = size_hw
    scale = min(1.0, COPY_PX / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def enlarged(copy: Floats32, place: tuple[slice, slice], size_hw: Sequence[int]) -> Floats32:
    """Return the values of a copy float32[h, w, C] at a place of its picture, which has `size_hw` pixels."""
    rows, columns = place
    down, right = copy.shape[0] / size_hw[0], copy.shape[1] / size_hw[1]
    to_copy = np.array(
        [[right, 0, (columns.start + 0.5) * right - 0.5], [0, down, (rows.start + 0.5) * down - 0.5]], np.float64
    )
    size = columns.stop - columns.start, rows.stop - rows.start
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(copy, to_copy, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def as_colours(image: Image) -> Floats32:
    """Return the colours of a photograph, float32[H, W, 3] in 0..1; grey values become three equal ones."""
    colours = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
    return colours.astype(np.float32) / np.float32(255)


def box(values: Floats32, radius_px: int) -> Floats32:
    """Return the mean of each channel over a square around each pixel; beyond the border the picture is mirrored."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT))


def _wider(span: slice, halo_px: int, end: int) -> slice:
    return slice(max(0, span.start - halo_px), min(end, span.stop + halo_px))
