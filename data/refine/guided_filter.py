"""The guided filter (He, Sun and Tang, TPAMI 2013) with a colour guide: an alpha takes the edges of its picture.

In each window the alpha is a linear function of the colour, q = a · I + b; a solves a 3 × 3 system. A grey guide would
not see an edge between colours of one luminance, and would blur the alpha there, so there is none.
"""

# Shapes: H/W pixels, 3 colours; a, b of the formula are float32[H, W, 3] and [H, W].
from __future__ import annotations

from functools import partial
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import Refine, as_colours, box, grown, tiles_with, within
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
    return partial(_filtered, radius_px=radius_px, eps=eps)


def _filtered(image: Image, alpha: Floats32, *, radius_px: int, eps: float) -> Floats32:
    band = grown((alpha > SURE) & (alpha < 1 - SURE), radius_px)
    refined = alpha.copy()
    for place, wider in tiles_with(band, 2 * radius_px):
        inner = within(place, wider)
        guided = guide(as_colours(image[wider]), alpha[wider], radius_px, eps)[inner]
        refined[place] = np.where(band[place], guided.clip(0, 1), alpha[place])
    return refined


def guide(colours: Floats32, alpha: Floats32, radius_px: int, eps: float, weights: Floats32 | None = None) -> Floats32:
    """Return the alpha as a locally linear function of the colours float32[H, W, 3] in 0..1.

    weights: float32[H, W] above 0, how much each pixel counts; None: all alike.
    """
    mean, mean_alpha, covariance, with_alpha = _moments(colours, alpha, radius_px, weights)
    for diagonal in (0, 3, 5):
        covariance[diagonal] += np.float32(eps)
    slopes = _solved(covariance, with_alpha)
    slope = cv2.merge(slopes)
    offset = mean_alpha - (slope * mean).sum(2)
    smooth = box(cv2.merge([slope, offset]), radius_px)
    return np.asarray((smooth[..., :3] * colours).sum(2) + smooth[..., 3])


def _moments(
    colours: Floats32, alpha: Floats32, radius_px: int, weights: Floats32 | None
) -> tuple[Floats32, Floats32, list[Floats32], list[Floats32]]:
    """Return over each window the mean colour, the mean alpha, the colours' covariances rr, rg, rb, gg, gb, bb, and
    those of the colours with the alpha."""
    planes = list(cv2.split(colours))
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    stack = cv2.merge(
        [*planes, alpha, *(planes[i] * planes[j] for i, j in pairs), *(plane * alpha for plane in planes)]
    )
    if weights is None:
        means = box(stack, radius_px)
    else:
        means = box(stack * weights[..., None], radius_px) / box(weights, radius_px)[..., None]
    mean, mean_alpha = means[..., :3], means[..., 3]
    covariance = [means[..., 4 + k] - mean[..., i] * mean[..., j] for k, (i, j) in enumerate(pairs)]
    with_alpha = [means[..., 10 + k] - mean[..., k] * mean_alpha for k in range(3)]
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
