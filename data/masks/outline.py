"""Trace masks as polygons that fill to exactly the same pixels: the inverse of `data.masks.packed.fill_polygons`.

`cv2.fillPoly` also fills a ring's outline, and the rings of one class unite. So the centres of the border pixels, in
order, are the ring of a part without holes. A part with holes is cut into horizontal bands, with a cut at the lowest
row of each hole: the hole then opens to the edge of its band, and every band has only rings without holes.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from data.masks.rle import Runs, decode, end_of
from utils.arrays import Bytes, Ring

_PARENT = 3  # Column of OpenCV's contour hierarchy: the contour around a hole, -1 for an outer contour.
_FEWEST_POINTS = 3  # Readers of labels refuse fewer; the ring of a pixel or a line repeats its last point.


def outlines_of_runs(runs: Runs, width: int) -> list[Ring]:
    """Return the rings int32[N, 2] of a mask in an image of that width; none for the empty mask."""
    if not len(runs):
        return []
    top, bottom = int(runs[0, 0]) // width, -(-end_of(runs) // width)
    mask = decode([runs - np.array([top * width, 0])], (bottom - top, width))[..., 0]
    return [ring + np.array([0, top], np.int32) for ring in outlines(mask)]


def outlines(mask_HW: Bytes) -> list[Ring]:
    """Return rings int32[N, 2] of (x, y), N at least 3; filled together they give the pixels that are not 0."""
    left, top, width, height = cv2.boundingRect(mask_HW)
    window = mask_HW[top : top + height, left : left + width]
    bands = pairwise([0, *cuts(window), height]) if height else ()
    return [ring for first, end in bands for ring in _rings(window[first:end], (left, top + first))]


def cuts(mask_HW: Bytes) -> list[int]:
    """Return the rows before which to cut so that no band has a hole, as few as possible."""
    contours, (families,) = cv2.findContours(mask_HW, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    around_holes = [contour[:, 0, 1] for contour, of in zip(contours, families, strict=True) if of[_PARENT] >= 0]
    holes = sorted((int(rows.max()), int(rows.min()) + 1) for rows in around_holes)  # (first row below, first row).
    chosen = [0]
    for below, first in holes:
        if first > chosen[-1]:  # Otherwise the last cut opens this hole already.
            chosen.append(below)
    return chosen[1:]


def _rings(mask_HW: Bytes, corner_xy: tuple[int, int]) -> list[Ring]:
    """Return the outline of each part of a mask without holes."""
    contours, _ = cv2.findContours(mask_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner_xy)
    return [_at_least_three(contour[:, 0]) for contour in contours]


def _at_least_three(ring: Ring) -> Ring:
    return np.concatenate([ring, ring[-1:].repeat(max(0, _FEWEST_POINTS - len(ring)), axis=0)])
