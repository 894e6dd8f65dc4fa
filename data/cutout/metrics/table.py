"""The numbers that describe cut-outs, by the names that files give them."""

from __future__ import annotations

import numpy as np

from data.cutout.metrics.boundary import boundary_accuracy, thin_recall
from data.cutout.metrics.matting import (
    connectivity_error,
    gradient_error,
    mean_squared_error,
    sum_of_absolute_differences,
)
from data.cutout.metrics.regions import dice, f_curve, iou, mean_absolute_error, precision, recall
from data.cutout.metrics.structure import e_curve, s_measure, weighted_f
from data.task import Detail
from utils.arrays import Floats


def highest(curve: Floats) -> float:
    """The highest value of a curve."""
    return float(np.max(curve))


def mean_of(curve: Floats) -> float:
    """The mean of a curve."""
    return float(np.mean(curve))


DETAILS: dict[str, Detail] = {
    "iou": Detail("IoU", iou),
    "dice": Detail("Dice", dice, column="Dice"),
    "mae": Detail("mean absolute error", mean_absolute_error, column="MAE"),
    "precision": Detail("precision", precision),
    "recall": Detail("recall", recall),
    "max_f": Detail("F, highest of thresholds", f_curve, highest),
    "mean_f": Detail("F, mean of thresholds", f_curve, mean_of),
    "weighted_f": Detail("F, weighted", weighted_f),
    "s_measure": Detail("S-measure", s_measure),
    "max_e": Detail("E-measure, highest of thresholds", e_curve, highest),
    "mean_e": Detail("E-measure, mean of thresholds", e_curve, mean_of),
    "boundary_accuracy": Detail("boundary within 2 px", boundary_accuracy, column="boundary"),
    "thin_recall": Detail("recall of thin parts", thin_recall),
    "sad": Detail("SAD, thousands", sum_of_absolute_differences, digits=3),
    "mse": Detail("MSE", mean_squared_error, digits=5),
    "gradient": Detail("gradient error, thousands", gradient_error, digits=3),
    "connectivity": Detail("connectivity error, thousands", connectivity_error, digits=3),
}
