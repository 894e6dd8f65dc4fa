"""Cloth, fur and stones of many colours: a network takes dark specks of the object for gaps that show the ground."""

# Shapes: h/w pixels of the copy.
from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

from data.refine.base import Place, Refine, Share, enlarged, grown, planes_of, size_of_copy, tiles_of
from data.refine.cases.hair import hair_confidence
from data.refine.colour_matting import spread_colours
from utils.arrays import Bools, Floats32, Image

LEAST_PX = 4
"""Gaps with fewer pixels of the copy are not judged: too few to know their colours."""
UNLIKE_GROUND, LIKE_OBJECT = 6.0, 30.0
"""Squared distances of a speck's colours from the ground's (at least) and the object's (at most), in variances."""
NOISE = 0.002
"""Is added to each of these variances (colours in 0..1)."""
FROM, TO = 0.4, 0.9
"""Shares of all gaps that are specks at which the confidence is 0 and 1."""


def texture(*, confidence: Share = 0.5) -> Refine:
    """Close gaps in the object whose colours are not the ground's, if most of its gaps are such specks.

    confidence: how sure that must be, 0 to 1. Gaps between hairs are none of them.
    """
    return Refine(partial(_close, confidence=confidence))


def texture_confidence(image: Image, alpha: Floats32) -> float:
    """Return how sure it is that gaps in an object are specks of its texture, 0..1."""
    return _found(image, alpha)[0]


def _close(image: Image, alpha: Floats32, *, confidence: float) -> None:
    found, specks = _found(image, alpha)
    if found == 0 or found < confidence:
        return
    closed = grown(specks, 1).astype(np.float32)
    for tile in tiles_of(alpha.shape):
        np.maximum(alpha[tile], enlarged(closed, tile, alpha.shape), out=alpha[tile])


def _found(image: Image, alpha: Floats32) -> tuple[float, Bools]:
    """Return the confidence, and the specks of a small copy, bool[h, w]."""
    size = size_of_copy(alpha.shape)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    specks = np.zeros(small.shape, np.bool_)
    gaps = list(_gaps(small))
    inside = small > 0.5
    filled = inside.copy()
    for place, gap in gaps:
        filled[place] |= gap
    core, behind = ~grown(~inside, 1), ~grown(filled, 2)
    if not gaps or not core.any() or not behind.any():
        return 0.0, specks
    colours = planes_of(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    from_object, from_ground = (_distance(colours, spread_colours(colours, mask)) for mask in (core, behind))
    for place, gap in gaps:
        unlike, like = np.median(from_ground[place][gap]), np.median(from_object[place][gap])
        specks[place] |= gap & bool(unlike > UNLIKE_GROUND and like < LIKE_OBJECT)
    share = float(specks.sum()) / sum(int(gap.sum()) for _, gap in gaps)
    certainty = min(1.0, max(0.0, (share - FROM) / (TO - FROM)))
    return certainty and certainty * (1 - hair_confidence(image, alpha)), specks


def _gaps(alpha: Floats32) -> Iterator[tuple[Place, Bools]]:
    """Yield each part of the ground that the object encloses: its place, and its pixels there."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((alpha <= 0.5).view(np.uint8), connectivity=4)
    height, width = alpha.shape
    for label, (left, top, columns, rows, area) in enumerate(stats.tolist()):
        at_border = left == 0 or top == 0 or left + columns == width or top + rows == height
        if label and area >= LEAST_PX and not at_border:
            place = slice(top, top + rows), slice(left, left + columns)
            yield place, labels[place] == label


def _distance(colours: list[Floats32], known: Floats32) -> Floats32:
    """Return the squared distance of each colour from known ones, in variances, float32[h, w]."""
    *mean, variance = cv2.split(known)
    apart = sum((one - other) ** 2 for one, other in zip(colours, mean, strict=True))
    return np.asarray(apart / (variance + NOISE), np.float32)
