"""Masks → polygons that fill to exactly the same pixels: the inverse of `data.masks.packed.fill_polygons`.

`cv2.fillPoly` fills a ring's outline too, and rings of a class unite. So the border pixels' centres, in order, are the
ring of a part without holes. A part with holes is cut in bands along rows, each hole at its lowest row: there it opens
to the band's edge, and what remains is rings without holes.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from data.masks.rle import Runs, decode, end_of
from utils.arrays import Bytes, Ring

_PARENT = 3  # Where OpenCV's hierarchy of contours says what a hole lies in.
_FEWEST_POINTS = 3  # What a label's reader takes for a polygon; a pixel's and a line's ring say points twice.


def outlines_of_runs(runs: Runs, width: int) -> list[Ring]:
    """Rings int32[N, 2] of a mask in an image of that width; none for the empty mask."""
    if not len(runs):
        return []
    top, bottom = int(runs[0, 0]) // width, -(-end_of(runs) // width)
    mask = decode([runs - np.array([top * width, 0])], (bottom - top, width))[..., 0]
    return [ring + np.array([0, top], np.int32) for ring in outlines(mask)]


def outlines(mask_HW: Bytes) -> list[Ring]:
    """Rings int32[N, 2] as (x, y), N at least 3, whose union, filled, is where the mask is not 0."""
    left, top, width, height = cv2.boundingRect(mask_HW)
    window = mask_HW[top : top + height, left : left + width]
    bands = pairwise([0, *cuts(window), height]) if height else ()
    return [ring for first, end in bands for ring in _rings(window[first:end], (left, top + first))]


def cuts(mask_HW: Bytes) -> list[int]:
    """The rows before which to cut so that no band has a hole: as few as there can be."""
    contours, (families,) = cv2.findContours(mask_HW, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    around_holes = [contour[:, 0, 1] for contour, of in zip(contours, families, strict=True) if of[_PARENT] >= 0]
    holes = sorted((int(rows.max()), int(rows.min()) + 1) for rows in around_holes)  # (first row below, first row).
    chosen = [0]
    for below, first in holes:
        if first > chosen[-1]:  # Else the cut before goes through it, or it begins there.
            chosen.append(below)
    return chosen[1:]


def _rings(mask_HW: Bytes, corner_xy: tuple[int, int]) -> list[Ring]:
    """The outline of each part of a mask without holes."""
    contours, _ = cv2.findContours(mask_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner_xy)
    return [_at_least_three(contour[:, 0]) for contour in contours]


def _at_least_three(ring: Ring) -> Ring:
    return np.concatenate([ring, ring[-1:].repeat(max(0, _FEWEST_POINTS - len(ring)), axis=0)])
