from __future__ import annotations

import json

import numpy as np
import pytest

from data.cutout.metrics.regions import dice, f_curve, iou, mean_absolute_error, precision, recall
from data.cutout.metrics.structure import e_curve, s_measure, weighted_f
from tests.data.cutout.metrics.pictures import REFERENCE, pictures

EMPTY, FULL = np.zeros((8, 8)), np.ones((8, 8))
EVERY = 15
"""The reference holds every 15th threshold."""


def half(value: float = 1.0) -> np.ndarray:
    """An alpha whose upper half has a value."""
    alpha = np.zeros((8, 8))
    alpha[:4] = value
    return alpha


@pytest.mark.parametrize(
    ("alpha", "truth", "expected"),
    [  # IoU, Dice, precision, recall, mean absolute error
        (half(), half(), (1, 1, 1, 1, 0)),
        (half(), FULL, (1 / 2, 2 / 3, 1, 1 / 2, 1 / 2)),
        (FULL, half(), (1 / 2, 2 / 3, 1 / 2, 1, 1 / 2)),
        (half(), 1 - half(), (0, 0, 0, 0, 1)),
        (half(0.4), half(), (0, 0, 0, 0, 0.3)),  # below the threshold
        (half(0.5), half(), (1, 1, 1, 1, 0.25)),  # at the threshold
        (EMPTY, EMPTY, (1, 1, 1, 1, 0)),
        (EMPTY, half(), (0, 0, 0, 0, 1 / 2)),
        (half(), EMPTY, (0, 0, 0, 0, 1 / 2)),
    ],
)
def test_areas_are_compared_as_a_hand_counts_them(
    alpha: np.ndarray, truth: np.ndarray, expected: tuple[float, ...]
) -> None:
    found = [score(alpha, truth) for score in (iou, dice, precision, recall, mean_absolute_error)]
    assert found == pytest.approx(expected)


def test_the_f_measure_of_a_hand_case() -> None:
    """At thresholds up to 0.4 · 255 all is found: P = 1/2, R = 1. Above nothing is."""
    curve = f_curve(np.full((8, 8), 0.4), half())
    assert curve[:103] == pytest.approx(np.full(103, 1.3 * 0.5 / (0.3 * 0.5 + 1)))
    assert (curve[103:] == 0).all()
    assert (f_curve(EMPTY, EMPTY)[1:] == 1).all()


def test_all_are_what_the_reference_says() -> None:
    for (alpha, truth), reference in zip(pictures(), json.loads(REFERENCE.read_text()), strict=True):
        true = truth.astype(np.float64)
        found = {
            "s_measure": s_measure(alpha, true),
            "weighted_f": weighted_f(alpha, true),
            "mean_absolute_error": mean_absolute_error(alpha, true),
            "f_curve": [*f_curve(alpha, true)[::EVERY]],
            "e_curve": [*e_curve(alpha, true)[::EVERY]],
        }
        assert found.keys() == reference.keys()
        for name, value in found.items():
            assert value == pytest.approx(reference[name], abs=1e-9), name


@pytest.mark.parametrize("score", [s_measure, weighted_f, lambda alpha, truth: e_curve(alpha, truth)[1:].max()])
def test_nothing_where_nothing_is_and_all_where_all_is_are_perfect(score: object) -> None:
    assert callable(score)
    assert score(EMPTY, EMPTY) == pytest.approx(1, abs=0.02)  # the E-measure divides by one pixel less
    assert score(FULL, FULL) == pytest.approx(1, abs=0.02)
    assert score(half(), half()) == pytest.approx(1, abs=0.02)
