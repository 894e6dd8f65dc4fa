"""The guided filter (He, Sun and Tang, TPAMI 2013) with a colour guide: an alpha takes the edges of its picture.

In each window the alpha is a linear function of the colour, q = a · I + b; a solves a 3 × 3 system. A grey guide would
not see an edge between colours of one luminance, and would blur the alpha there, so there is none.
"""

# Shapes: H/W pixels of the photograph, h/w of a tile; a, b of the formula are three planes float32[h, w], and one.
from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from data.refine.base import (
    Place,
    Planes,
    Refine,
    bounds_of,
    box,
    change_in_tiles,
    dot,
    grown,
    planes_of,
    wider,
    within,
)
from utils.arrays import Floats32, Image

SURE = 0.05
"""Alphas so near to 0 or 1 are certain."""


def guided_filter(
    *, radius_px: Annotated[int, Field(ge=1, le=64)] = 4, eps: Annotated[float, Field(gt=0, le=1)] = 1e-4
) -> Refine:
    """Move soft edges to edges between colours; nothing changes away from uncertain pixels.

    radius_px: of the windows; farther than that from uncertain pixels nothing changes.
    eps: variance of colours in 0..1 that is taken for noise.
    """
    return Refine(partial(_filter, radius_px=radius_px, eps=eps))


def _filter(image: Image, alpha: Floats32, *, radius_px: int, eps: float) -> None:
    compute = partial(_filtered_tile, image, alpha, radius_px=radius_px, eps=eps)
    change_in_tiles(alpha, 2 * radius_px, compute)


def _filtered_tile(
    image: Image, alpha: Floats32, tile: Place, *, radius_px: int, eps: float
) -> tuple[Place, Floats32] | None:
    """Return the new alpha of the part of a tile that is near uncertain pixels; None if none of it is."""
    around = wider(tile, radius_px, alpha.shape)
    near = grown((alpha[around] > SURE) & (alpha[around] < 1 - SURE), radius_px)[within(tile, around)]
    place = bounds_of(near, tile)
    if place is None:
        return None
    around = wider(place, 2 * radius_px, alpha.shape)
    guided = guide(planes_of(image[around]), alpha[around], radius_px, eps)[within(place, around)]
    return place, np.where(near[within(place, tile)], guided.clip(0, 1), alpha[place])


def guide(colours: Planes, alpha: Floats32, radius_px: int, eps: float, weights: Floats32 | None = None) -> Floats32:
    """Return the alpha as a locally linear function of the colours, three planes float32[h, w] in 0..1.

    weights: float32[h, w] above 0, how much each pixel counts; None: all alike.
    """
    mean, mean_alpha, covariance, with_alpha = _moments(colours, alpha, radius_px, weights)
    for diagonal in (0, 3, 5):
        covariance[diagonal] += np.float32(eps)
    slopes = _solved(covariance, with_alpha)
    offset = mean_alpha - dot(slopes, mean)
    *smooth, offset = (box(plane, radius_px) for plane in (*slopes, offset))
    return dot(smooth, colours) + offset


def _moments(
    colours: Planes, alpha: Floats32, radius_px: int, weights: Floats32 | None
) -> tuple[Planes, Floats32, list[Floats32], list[Floats32]]:
    """Return over each window the mean colour, the mean alpha, the colours' covariances rr, rg, rb, gg, gb, bb, and
    those of the colours with the alpha."""
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    counted = colours if weights is None else [plane * weights for plane in colours]
    counted_alpha = alpha if weights is None else alpha * weights
    products = [counted[i] * colours[j] for i, j in pairs] + [plane * alpha for plane in counted]
    means = [box(plane, radius_px) for plane in (*counted, counted_alpha, *products)]
    if weights is not None:
        share = np.float32(1) / box(weights, radius_px)
        means = [plane * share for plane in means]
    mean, mean_alpha = means[:3], means[3]
    covariance = [means[4 + k] - mean[i] * mean[j] for k, (i, j) in enumerate(pairs)]
    with_alpha = [means[10 + k] - mean[k] * mean_alpha for k in range(3)]
    return mean, mean_alpha, covariance, with_alpha


def _solved(covariance: list[Floats32], with_alpha: list[Floats32]) -> list[Floats32]:
    """Solve the symmetric 3 × 3 system of each pixel by its adjugate."""
    rr, rg, rb, gg, gb, bb = covariance
    inverse = [
        [gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb],
        [gb * rb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb],
        [rg * gb - gg * rb, rb * rg - rr * gb, rr * gg - rg * rg],
    ]
    determinant = rr * inverse[0][0] + rg * inverse[0][1] + rb * inverse[0][2]
    red, green, blue = with_alpha
    return [(row[0] * red + row[1] * green + row[2] * blue) / determinant for row in inverse]
