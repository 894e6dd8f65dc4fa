"""Remove what does not belong to the object: parts apart from it.

A part is counted in pixels, never measured by the area inside its contour: a line of 1 px has an area of 0, but it is
a hair.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import Refine
from utils.arrays import Floats32, Image, Ints, Ints32

FAINT = 0.05
"""Pixels from this alpha on connect parts, so that a strand which fades and returns stays."""
BAND_ROWS = 256
"""Rows whose labels, four bytes for each pixel, are held at a time."""


def islands(
    *,
    keep: Literal["main", "min_area"] = "main",
    area: Annotated[float, Field(ge=0, le=0.5)] = 0.001,
    level: Annotated[float, Field(gt=0, le=0.9)] = 0.2,
) -> Refine:
    """Make parts transparent that are apart from the object.

    keep: main, the largest part and all that faint pixels join to it; or min_area, every part with enough pixels.
    area: the least share of the picture's pixels that a part has, for min_area.
    level: pixels above this alpha are counted.
    """
    return Refine(partial(_remove_islands, keep=keep, area=area, level=level))


def _remove_islands(_image: Image, alpha: Floats32, *, keep: str, area: float, level: float) -> None:
    part_of, pixels = _count_parts(alpha, level)
    largest = np.arange(len(pixels)) == pixels.argmax()
    stays = largest if keep == "main" else pixels >= max(1, area * alpha.size)
    stays |= pixels < 0
    if stays.all() or not stays[pixels >= 0].any():
        return
    start = 0
    for rows, count, labels in _labelled(alpha):
        goes = ~stays[part_of[start : start + count]]
        if goes.any():
            alpha[rows][goes[labels]] = 0
        start += count


def _labelled(alpha: Floats32) -> Iterator[tuple[slice, int, Ints32]]:
    """Yield bands of rows, how many labels each has, and the label of each pixel; 0 is outside of all parts."""
    for top in range(0, len(alpha), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        count, labels = cv2.connectedComponents((alpha[rows] > FAINT).view(np.uint8), connectivity=8)
        yield rows, count, labels


def _count_parts(alpha: Floats32, level: float) -> tuple[Ints, Ints]:
    """Return the part of each label, those of all bands in a row, and of each part the pixels above a level.

    What is outside is a part with -1 pixels. A part that reaches into several bands has the first of its labels.
    """
    part_of: list[int] = []
    pixels: list[int] = []
    above = np.zeros(alpha.shape[1], np.int64)
    for rows, count, labels in _labelled(alpha):
        start = len(part_of)
        part_of += range(start, start + count)
        pixels += [-1, *np.bincount(labels[alpha[rows] > level], minlength=count)[1:].tolist()]
        first, last = (np.where(labels[row] > 0, labels[row] + start, 0) for row in (0, -1))
        for one, other in _touching(above, first):
            _join(part_of, pixels, one, other)
        above = last
    return np.array([_root(part_of, label) for label in range(len(part_of))]), np.array(pixels)


def _touching(above: Ints, below: Ints) -> list[tuple[int, int]]:
    """Return the pairs of labels, not 0, that two rows of pixels join, also at corners."""
    padded = np.pad(above, 1)
    pairs = np.concatenate([np.stack([padded[shift : shift + len(below)], below], 1) for shift in range(3)])
    return sorted(set(map(tuple, pairs[(pairs > 0).all(1)].tolist())))


def _join(part_of: list[int], pixels: list[int], one: int, other: int) -> None:
    """Make one part of those that two labels belong to; the later one is left with -1 pixels."""
    first, later = sorted((_root(part_of, one), _root(part_of, other)))
    if first != later:
        part_of[later] = first
        pixels[first] += pixels[later]
        pixels[later] = -1


def _root(part_of: list[int], label: int) -> int:
    while part_of[label] != label:
        label = part_of[label]
    return label
