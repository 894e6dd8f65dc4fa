"""Scores of edges and of thin parts, which areas hide: a lost hair is a thousandth of a picture.

Predicted and true alphas are floats[H, W] in 0..1, cut at 0.5.
"""

from __future__ import annotations

import cv2
import numpy as np

from data.cutout.metrics.regions import masks
from utils.arrays import Bools, Floats

WITHIN_PX = 2.0
THIN_PX = 5
"""Parts of a mask that a square of this side does not fit into are thin."""


def boundary_accuracy(alpha: Floats, truth: Floats) -> float:
    """The share of both boundaries that lies within 2 px of the other one, 0..1: the mean of the two shares.

    Two empty masks agree (1); an empty one and another do not (0).
    """
    mask, true = masks(alpha, truth)
    if not mask.any() or not true.any():
        return float(mask.any() == true.any())
    edges = edge_of(mask), edge_of(true)
    return (_share_near(edges[0], edges[1]) + _share_near(edges[1], edges[0])) / 2


def thin_recall(alpha: Floats, truth: Floats) -> float | None:
    """The share of the thin parts of the truth that is predicted, 0..1; None if it has no thin parts."""
    mask, true = masks(alpha, truth)
    thin = true & ~_opened(true)
    return float(mask[thin].mean()) if thin.any() else None


def edge_of(mask: Bools) -> Bools:
    """The pixels of a mask with a neighbour outside it; the border of the image is no edge."""
    inner = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(mask & (inner == 0))


def _share_near(edge: Bools, other: Bools) -> float:
    """The share of an edge that is within `WITHIN_PX` of another; of no edge at all 1 if there is no other either."""
    if not edge.any() or not other.any():
        return float(edge.any() == other.any())
    away_px = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away_px[edge] <= WITHIN_PX).mean())


def _opened(mask: Bools) -> Bools:
    """What a square of `THIN_PX` covers without leaving the mask."""
    square = np.ones((THIN_PX, THIN_PX), np.uint8)
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, square) > 0)
