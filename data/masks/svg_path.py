"""Trace masks as SVG path data: the borders between pixels, with holes, in the frame of a drawing of any size.

Paths are filled by the rule `evenodd`. They are simplified and rounded so that no point of them lies more than
`BOUND_PX` pixels of the drawing from the border of the mask.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from utils.arrays import Bytes, Ints32, Mask, Size

BOUND_PX = 0.5
"""How far a path may lie from the border of the mask, in pixels of the drawing."""
ROUNDING_PX = 0.08
"""How far rounding to a tenth moves a point, at most."""
FINEST = 4
"""Masks of more than so many pixels for each pixel of the drawing, along a side, are reduced before they are traced."""


def svg_path(mask_HW: Mask, frame_hw: Size, longest: int | None = None) -> str:
    """Return the borders of a mask in a drawing of the size (h, w); empty if the mask is.

    A path of more than `longest` characters, such as that of noise, is traced anew with pixels and bound twice as
    large until it is short enough.

    Example: one pixel at x=2, y=1 in a drawing of the mask's own size gives "M2 1l0 1 1 0 0-1z".
    """
    left, top, width, height = cv2.boundingRect(mask_HW.view(np.uint8))
    if not width:
        return ""
    step, coarser = max(1, max(mask_HW.shape) // (FINEST * max(frame_hw))), 1
    scale_xy = np.array(frame_hw[::-1]) / mask_HW.shape[::-1]
    tolerance_px = BOUND_PX - ROUNDING_PX - (step - 1) * float(scale_xy.max())
    window = mask_HW[top : top + height, left : left + width]
    while True:
        rings = _rings(_reduced(window, step * coarser))
        placed = ((ring * (step * coarser / 2) + (left, top)) * scale_xy for ring in rings)
        path = "".join(_written(ring.astype(np.float32), tolerance_px * coarser) for ring in placed)
        if longest is None or len(path) <= longest or step * coarser >= max(width, height):
            return path
        coarser *= 2


def _reduced(mask_HW: Mask, step: int) -> Bytes:
    """Unite squares of `step` pixels, so that nothing disappears."""
    if step == 1:
        return mask_HW.view(np.uint8)
    height, width = (-(-side // step) for side in mask_HW.shape)
    padded = np.zeros((height * step, width * step), np.bool_)
    padded[: mask_HW.shape[0], : mask_HW.shape[1]] = mask_HW
    return np.asarray(padded.reshape(height, step, width, step).any(axis=(1, 3)), np.uint8)


def _rings(mask_HW: Bytes) -> Iterator[Ints32]:
    """Yield the borders between pixels as rings [N, 2] of (x, y) in halves of a pixel, outer ones and those of holes.

    OpenCV joins the centres of a shape's pixels. So each pixel becomes 3 x 3 points of a grid of half its size: the
    outer ones, which neighbours share, lie on its corners and edges.
    """
    height, width = mask_HW.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    for down in range(3):
        for across in range(3):
            grid[down : down + 2 * height : 2, across : across + 2 * width : 2] |= mask_HW
    contours, _ = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        yield _with_corners(contour[:, 0])


def _with_corners(ring: Ints32) -> Ints32:
    """Insert the inner corners, across which OpenCV goes diagonally: both coordinates of a corner are even."""
    following = np.roll(ring, -1, axis=0)
    is_diagonal = (ring != following).all(axis=1)
    is_even = ring % 2 == 0
    corners = np.where(is_even, ring, following)
    pairs = np.stack([ring, np.where(is_diagonal[:, None], corners, ring)], axis=1)
    return pairs.reshape(-1, 2)


def _written(ring: Ints32, tolerance_px: float) -> str:
    """Write a ring as a closed part of a path; one that has no area once it is simplified stays as it is."""
    kept = cv2.approxPolyDP(ring[:, None], tolerance_px, closed=True)[:, 0]
    if len(kept) < 3:
        kept = cv2.approxPolyDP(ring[:, None], 0, closed=True)[:, 0]
    tenths = np.round(kept * 10).astype(np.int32)
    steps = np.diff(tenths, axis=0)
    numbers = [int(number) for number in steps[(steps != 0).any(axis=1)].reshape(-1)]
    x, y = tenths[0].tolist()
    return f"M{_number(x)}{_next(y)}l{_number(numbers[0])}{''.join(map(_next, numbers[1:]))}z" if numbers else ""


def _number(tenths: int) -> str:
    """Write tenths as briefly as SVG permits: -5 as "-.5"."""
    sign, (whole, part) = "-" if tenths < 0 else "", divmod(abs(tenths), 10)
    return f"{sign}{whole or ''}.{part}" if part else f"{sign}{whole}"


def _next(tenths: int) -> str:
    """Write a number after another one; a minus sign separates them already."""
    written = _number(tenths)
    return written if written.startswith("-") else f" {written}"
