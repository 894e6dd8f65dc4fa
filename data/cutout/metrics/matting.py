"""Errors of soft mattes: SAD, MSE, gradient and connectivity (Rhemann et al., CVPR 2009). 0 is the best.

Predicted and true alphas are floats[H, W] in 0..1. The papers' units: SAD, gradient and connectivity in thousands.
"""

from __future__ import annotations

import cv2
import numpy as np

from utils.arrays import Bools, Floats

THOUSAND = 1000.0
GRADIENT_SD_PX = 1.4
STEP = 0.1
NOTICEABLE = 0.15
"""A smaller loss of connectivity is not seen."""


def sum_of_absolute_differences(alpha: Floats, truth: Floats) -> float:
    """The sum of |alpha - truth|, in thousands."""
    return float(np.abs(alpha - truth).sum()) / THOUSAND


def mean_squared_error(alpha: Floats, truth: Floats) -> float:
    """The mean of (alpha - truth)²."""
    return float(((alpha - truth) ** 2).mean())


def gradient_error(alpha: Floats, truth: Floats) -> float:
    """The sum of the squared differences of gradient magnitudes, in thousands.

    Gradients are those of a Gaussian of 1.4 px, whose kernels have the norm 1.
    """
    return float(((_gradient(alpha) - _gradient(truth)) ** 2).sum()) / THOUSAND


def connectivity_error(alpha: Floats, truth: Floats) -> float:
    """The sum of the differences of how far each pixel is connected to what is surely in both, in thousands.

    A pixel is connected up to the highest level (steps of 0.1) at which it belongs to the largest connected part of
    the pixels that reach this level in both alphas. What it exceeds this level by is its loss, if it is at least 0.15.
    """
    highest = np.zeros(alpha.shape)
    connected = np.ones(alpha.shape, np.bool_)
    for level in np.arange(1, round(1 / STEP) + 1) * STEP:
        largest = _largest_part((alpha >= level) & (truth >= level))
        left_now = connected & ~largest
        highest[left_now] = level - STEP
        connected &= largest
    highest[connected] = 1.0
    return float(np.abs(_connectivity(alpha, highest) - _connectivity(truth, highest)).sum()) / THOUSAND


def _gradient(values: Floats) -> Floats:
    """The magnitude of the gradient by the derivatives of a Gaussian."""
    half_px = round(3 * GRADIENT_SD_PX)
    offsets = np.arange(-half_px, half_px + 1)
    bell = np.exp(-(offsets**2) / (2 * GRADIENT_SD_PX**2)) / (GRADIENT_SD_PX * np.sqrt(2 * np.pi))
    slope = -offsets * bell / GRADIENT_SD_PX**2
    norm = np.sqrt((np.outer(bell, slope) ** 2).sum())
    along_x, along_y = (
        cv2.sepFilter2D(values, cv2.CV_64F, x, y, borderType=cv2.BORDER_REPLICATE) / norm
        for x, y in ((slope, bell), (bell, slope))
    )
    return np.asarray(np.hypot(along_x, along_y))


def _largest_part(mask: Bools) -> Bools:
    """The largest 4-connected part of a mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count == 1:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _connectivity(alpha: Floats, highest: Floats) -> Floats:
    loss = alpha - highest
    return 1 - np.where(loss >= NOTICEABLE, loss, 0.0)
