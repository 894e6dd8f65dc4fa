"""What a refinement is, and what refinements have in common: colours in planes, and work in tiles of bounded size."""

# Shapes: H/W pixels of the photograph, h/w those of a copy or tile, C classes.
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from utils.arrays import Bools, Floats32, Image

Change: TypeAlias = Callable[[Image, Floats32], None]
"""A photograph uint8[H, W, 3] (or grey, uint8[H, W]) and an alpha float32[H, W] in 0..1, which is changed in place."""
Place: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture."""
Planes: TypeAlias = Sequence[Floats32]
"""Channels apart, float32[h, w] each: arithmetic on them is several times quicker than on [h, w, 3]."""
Share = Annotated[float, Field(ge=0, le=1)]

COPY_PX = 400
"""Longest side of the copy in which colours are spread far."""
TILE_PX = 128
"""Side of a tile: arrays of many channels are made for one tile at a time, so memory does not grow with pictures."""
SMALL_PX = 12
"""Up to this radius, adding all pixels of a window is quicker than adding and subtracting those at its ends."""


@dataclass(frozen=True)
class Refine:
    """A refinement: called, it returns the refined alpha and leaves the given one as it is.

    An alpha that is 0 or 1 everywhere stays so. `change` refines an alpha in place, which spares its memory.
    """

    change: Change

    def __call__(self, image: Image, alpha: Floats32) -> Floats32:
        refined = alpha.copy()
        self.change(image, refined)
        return refined


def refine_mask(image: Image, alpha_HWC: Floats32, refinements: Sequence[Refine]) -> Floats32:
    """Apply refinements, one after the other, to the alpha float32[H, W, C] of each class, in place; return it."""
    for plane_HW in np.moveaxis(alpha_HWC, 2, 0):
        refined = np.ascontiguousarray(plane_HW)  # No copy if it is contiguous already.
        for refine in refinements:
            refine.change(image, refined)
        if refinements and not np.may_share_memory(refined, plane_HW):
            plane_HW[...] = refined
    return alpha_HWC


def grown(mask: Bools, radius_px: int) -> Bools:
    """Return a mask with all pixels that a square of this radius around one of its pixels contains."""
    square = np.ones((2 * radius_px + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(mask.view(np.uint8), square)).view(np.bool_)


def tiles_of(size_hw: Sequence[int], rows: slice | None = None) -> Iterator[Place]:
    """Yield the tiles of a picture, or of some rows of it, row by row."""
    height, width = size_hw
    first, last = (0, height) if rows is None else (rows.start, rows.stop)
    for top in range(first, last, TILE_PX):
        for left in range(0, width, TILE_PX):
            yield slice(top, min(top + TILE_PX, last)), slice(left, min(left + TILE_PX, width))


def wider(place: Place, halo_px: int, size_hw: Sequence[int]) -> Place:
    """Return a place with a halo around it, as far as the picture reaches."""
    rows, columns = (
        slice(max(0, span.start - halo_px), min(end, span.stop + halo_px))
        for span, end in zip(place, size_hw, strict=True)
    )
    return rows, columns


def within(place: Place, wider: Place) -> Place:
    """Return where a place lies in the same place with its halo."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(place, wider, strict=True))
    return rows, columns


def bounds_of(mask: Bools, place: Place) -> Place | None:
    """Return the smallest part of a place that has all pixels of a mask bool[h, w] of it; None if there are none."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    row, column = place[0].start + top, place[1].start + left
    return slice(row, row + height), slice(column, column + width)


def change_in_tiles(alpha: Floats32, halo_px: int, compute: Callable[[Place], tuple[Place, Floats32] | None]) -> None:
    """Change an alpha tile by tile, in place. `compute` returns new values of a part of a tile; None: it stays.

    While `compute` reads the alpha, values less than `halo_px` from its tile are still the old ones.
    """
    waiting: deque[tuple[Place, Floats32]] = deque()
    for tile in tiles_of(alpha.shape):
        while waiting and waiting[0][0][0].stop <= tile[0].start - halo_px:
            place, values = waiting.popleft()
            alpha[place] = values
        found = compute(tile)
        if found is not None:
            waiting.append(found)
    for place, values in waiting:
        alpha[place] = values


def size_of_copy(size_hw: Sequence[int]) -> tuple[int, int]:
    """Return width and height of the copy of a picture, which is never larger than the picture."""
    height, width = size_hw
    scale = min(1.0, COPY_PX / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def enlarged(copy: Floats32, place: Place, size_hw: Sequence[int]) -> Floats32:
    """Return the values of a copy float32[h, w] or [h, w, C] at a place of its picture, which has `size_hw` pixels."""
    rows, columns = place
    down, right = copy.shape[0] / size_hw[0], copy.shape[1] / size_hw[1]
    to_copy = np.array(
        [[right, 0, (columns.start + 0.5) * right - 0.5], [0, down, (rows.start + 0.5) * down - 0.5]], np.float64
    )
    size = columns.stop - columns.start, rows.stop - rows.start
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(copy, to_copy, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def planes_of(image: Image) -> list[Floats32]:
    """Return red, green and blue of a photograph in 0..1, float32[h, w] each; of grey values three equal planes."""
    planes = [image] if image.ndim == 2 else cv2.split(image)
    values = [plane.astype(np.float32) / np.float32(255) for plane in planes]
    return values * 3 if len(values) == 1 else values


def dot(a: Planes, b: Planes) -> Floats32:
    """Return the scalar product of two colours at each pixel, float32[h, w]."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def box(plane: Floats32, radius_px: int) -> Floats32:
    """Return the mean over a square around each pixel; beyond the border the picture is mirrored."""
    side = 2 * radius_px + 1
    if radius_px > SMALL_PX:
        return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT))
    share = np.full(side, 1 / side, np.float32)
    return np.asarray(cv2.sepFilter2D(plane, -1, share, share, borderType=cv2.BORDER_REFLECT))
