"""Scores that look at structure: S-measure, E-measure and the weighted F-measure, as their papers define them.

Predicted and true alphas are floats[H, W] in 0..1; the truth is cut at 0.5, as in the papers.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from data.cutout.metrics.regions import THRESHOLD, counts_at_levels
from utils.arrays import Bools, Floats

EPSILON = float(np.spacing(1))
OBJECT_WEIGHT = 0.5
"""The weight of the object-aware part of the S-measure against the region-aware one."""
HALF_AT_PX = 5.0
"""An error this far from the object weighs halfway between one at its edge and one far away."""
BLUR_PX, BLUR_SD_PX = 7, 5.0


def s_measure(alpha: Floats, truth: Floats) -> float:
    """Structure measure, 0..1 (Fan et al., "Structure-measure", ICCV 2017, equations 5 to 8)."""
    true = truth >= THRESHOLD
    share = float(true.mean())
    if share == 0.0:
        return 1.0 - float(alpha.mean())
    if share == 1.0:
        return float(alpha.mean())
    both = OBJECT_WEIGHT * _object_part(alpha, true) + (1 - OBJECT_WEIGHT) * _region_part(alpha, true)
    return max(0.0, both)


def _object_part(alpha: Floats, true: Bools) -> float:
    """How uniformly the object is found and the ground is not, weighted by their areas."""
    share = float(true.mean())
    return share * _uniform(alpha[true]) + (1 - share) * _uniform(1 - alpha[~true])


def _uniform(values: Floats) -> float:
    """1 if all values are 1; less for a lower mean or a greater spread."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + spread + EPSILON)


def _region_part(alpha: Floats, true: Bools) -> float:
    """The similarity of the four blocks around the object's centre, weighted by their areas."""
    height, width = true.shape
    ys, xs = np.nonzero(true)
    row, column = round(float(ys.mean())) + 1, round(float(xs.mean())) + 1
    blocks = [
        (rows, columns)
        for rows in (slice(0, row), slice(row, height))
        for columns in (slice(0, column), slice(column, width))
    ]
    similarity = 0.0
    for block in blocks:
        size = true[block].size
        if size:
            similarity += size / true.size * _similarity(alpha[block], true[block].astype(np.float64))
    return similarity


def _similarity(x: Floats, y: Floats) -> float:
    """The structural similarity of two blocks, from their means, variances and covariance."""
    mean_x, mean_y, count = float(x.mean()), float(y.mean()), max(x.size - 1, EPSILON)
    away_x, away_y = x - mean_x, y - mean_y
    variance_x, variance_y = (float((away * away).sum()) / (count + EPSILON) for away in (away_x, away_y))
    covariance = float((away_x * away_y).sum()) / (count + EPSILON)
    above = 4 * mean_x * mean_y * covariance
    below = (mean_x**2 + mean_y**2) * (variance_x + variance_y)
    if above != 0:
        return above / (below + EPSILON)
    return 1.0 if below == 0 else 0.0


def e_curve(alpha: Floats, truth: Floats) -> Floats:
    """The enhanced-alignment measure at each of `LEVELS` thresholds, float64[256] in 0..1.

    Fan et al., "Enhanced-alignment Measure for Binary Foreground Map Evaluation", IJCAI 2018. All pixels of one true
    and one predicted value have the same alignment, so four counts are enough for each threshold.
    """
    true = truth >= THRESHOLD
    inside, counts = int(true.sum()), zip(*counts_at_levels(alpha, true), strict=True)
    return np.array([_alignment(int(hits), int(found), inside, true.size) for hits, found in counts])


def _alignment(hits: int, found: int, inside: int, size: int) -> float:
    """The alignment of a mask of `found` pixels with a truth of `inside` ones, of which it hits `hits`."""
    if inside == 0:
        return _per_pixel(size - found, size)
    if inside == size:
        return _per_pixel(found, size)
    mean_mask, mean_true = found / size, inside / size
    counts = {(1, 1): hits, (1, 0): found - hits, (0, 1): inside - hits, (0, 0): size - found - inside + hits}
    total = 0.0
    for (in_mask, in_truth), count in counts.items():
        away_mask, away_true = in_mask - mean_mask, in_truth - mean_true
        aligned = 2 * away_mask * away_true / (away_mask**2 + away_true**2 + EPSILON)
        total += count * (aligned + 1) ** 2 / 4
    return _per_pixel(total, size)


def _per_pixel(total: float, size: int) -> float:
    """The papers divide by one pixel less than there are."""
    return total / (size - 1 + EPSILON)


def weighted_f(alpha: Floats, truth: Floats) -> float:
    """The weighted F-measure with β = 1 (Margolin et al., "How to Evaluate Foreground Maps?", CVPR 2014).

    Errors beside other errors count as one, and errors far from the object weigh more.
    """
    true = truth >= THRESHOLD
    if not true.any():
        return float(not alpha.any())
    error = np.abs(alpha - true)
    away_px, nearest = _distance_and_nearest(true)
    # An error of the ground is compared with the object's nearest pixel, so that the blur does not mix both.
    spread = _blur(np.where(true, error, error.ravel()[nearest]))
    lessened = np.where(true & (spread < error), spread, error)
    weighted = lessened * np.where(true, 1.0, 2.0 - np.exp(math.log(0.5) / HALF_AT_PX * away_px))
    hits = true.sum() - weighted[true].sum()
    recall = 1 - float(weighted[true].mean())
    precision = float(hits / (EPSILON + hits + weighted[~true].sum()))
    return 2 * recall * precision / (EPSILON + recall + precision)


def _distance_and_nearest(true: Bools) -> tuple[Floats, np.ndarray]:
    """The distance in pixels to the object, and the flat index of its nearest pixel."""
    from scipy.ndimage import distance_transform_edt

    away_px, (rows, columns) = distance_transform_edt(~true, return_indices=True)
    return np.asarray(away_px, np.float64), np.asarray(rows * true.shape[1] + columns)


def _blur(values: Floats) -> Floats:
    """A Gaussian mean; beyond the edge everything is 0."""
    offsets = np.arange(BLUR_PX) - BLUR_PX // 2
    line = np.exp(-(offsets**2) / (2 * BLUR_SD_PX**2))
    line /= line.sum()
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, line, line, borderType=cv2.BORDER_CONSTANT))
