"""Scores by area: IoU, Dice, precision, recall, F-measure over thresholds, and the mean absolute error.

Predicted and true alphas are floats[H, W] in 0..1. If both masks are empty, they agree: 1.
"""

from __future__ import annotations

import numpy as np

from utils.arrays import Bools, Floats

THRESHOLD = 0.5
BETA_SQUARED = 0.3
"""The weight of precision against recall that papers on salient objects use (Achanta et al., 2009)."""
LEVELS = 256
"""Thresholds of the curves: a pixel of an 8-bit alpha is in the mask of level t if it is at least t, t = 0..255."""


def masks(alpha: Floats, truth: Floats) -> tuple[Bools, Bools]:
    """Return the predicted and the true mask: alphas of at least `THRESHOLD`."""
    return alpha >= THRESHOLD, truth >= THRESHOLD


def iou(alpha: Floats, truth: Floats) -> float:
    """|A∩B| / |A∪B|."""
    mask, true = masks(alpha, truth)
    return _ratio((mask & true).sum(), (mask | true).sum())


def dice(alpha: Floats, truth: Floats) -> float:
    """2 |A∩B| / (|A| + |B|)."""
    mask, true = masks(alpha, truth)
    return _ratio(2 * (mask & true).sum(), mask.sum() + true.sum())


def precision(alpha: Floats, truth: Floats) -> float:
    """The share of the predicted mask that is true; of an empty one 1 if the truth is empty too, else 0."""
    mask, true = masks(alpha, truth)
    return _share((mask & true).sum(), mask.sum(), true.sum())


def recall(alpha: Floats, truth: Floats) -> float:
    """The share of the true mask that is predicted; of an empty one 1 if the prediction is empty too, else 0."""
    mask, true = masks(alpha, truth)
    return _share((mask & true).sum(), true.sum(), mask.sum())


def mean_absolute_error(alpha: Floats, truth: Floats) -> float:
    """The mean of |alpha - truth|, 0 the best."""
    return float(np.abs(alpha - truth).mean())


def f_curve(alpha: Floats, truth: Floats) -> Floats:
    """The F-measure at each of `LEVELS` thresholds, float64[256]: (1 + β²) P R / (β² P + R).

    A data set's curve is the mean over its images; its maximum and its mean are the usual maxF and meanF.
    """
    true = truth >= THRESHOLD
    hits, found = counts_at_levels(alpha, true)
    if not true.any():
        return np.where(found == 0, 1.0, 0.0)
    precision_t = np.divide(hits, found, out=np.zeros(LEVELS), where=found > 0)
    recall_t = hits / true.sum()
    weighted = BETA_SQUARED * precision_t + recall_t
    above = (1 + BETA_SQUARED) * precision_t * recall_t
    return np.asarray(np.divide(above, weighted, out=np.zeros(LEVELS), where=weighted > 0))


def counts_at_levels(alpha: Floats, true: Bools) -> tuple[Floats, Floats]:
    """At each level, the pixels of the mask that are true, and all of it: float64[256] each."""
    levels = (alpha * (LEVELS - 1)).astype(np.uint8)
    all_of, true_of = (np.bincount(part.ravel(), minlength=LEVELS) for part in (levels, levels[true]))
    hits, found = (np.cumsum(counts[::-1])[::-1].astype(np.float64) for counts in (true_of, all_of))
    return hits, found


def _ratio(part: np.integer, whole: np.integer) -> float:
    return float(part / whole) if whole else 1.0


def _share(part: np.integer, whole: np.integer, other: np.integer) -> float:
    return float(part / whole) if whole else float(not other)
