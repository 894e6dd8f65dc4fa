from __future__ import annotations

import numpy as np
import pytest

from data.cutout.metrics.matting import (
    connectivity_error,
    gradient_error,
    mean_squared_error,
    sum_of_absolute_differences,
)

ALL = (sum_of_absolute_differences, mean_squared_error, gradient_error, connectivity_error)


def disk(value: float = 1.0) -> np.ndarray:
    ys, xs = np.mgrid[:40, :40]
    return np.where((ys - 20) ** 2 + (xs - 20) ** 2 < 100, value, 0.0)


def test_equal_alphas_have_no_error() -> None:
    for alpha in (disk(), disk(0.5), np.zeros((8, 8)), np.ones((8, 8))):
        assert [error(alpha, alpha) for error in ALL] == [0, 0, 0, 0]


def test_sums_and_means_as_a_hand_counts_them() -> None:
    area = int(disk().sum())
    assert sum_of_absolute_differences(disk(0.5), disk()) == pytest.approx(0.5 * area / 1000)
    assert mean_squared_error(disk(0.5), disk()) == pytest.approx(0.25 * area / 1600)


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    """Away from the border a ramp's Gaussian derivative is its slope times the sum of slope kernel and offsets."""
    ramp = np.tile(np.arange(40) / 100, (40, 1))
    error = gradient_error(ramp, np.zeros((40, 40)))
    offsets = np.arange(-4, 5)
    bell = np.exp(-(offsets**2) / (2 * 1.4**2))
    slope = -offsets * bell
    per_pixel = (0.01 * bell.sum() * (slope * offsets).sum()) ** 2 / (np.outer(bell, slope) ** 2).sum()
    assert error == pytest.approx(1600 * per_pixel / 1000, rel=0.1)


def test_a_part_that_is_cut_off_loses_its_connection() -> None:
    truth = np.zeros((40, 40))
    truth[10:30, 5:35] = 1
    cut = truth.copy()
    cut[:, 25] = 0  # the right part, 9 columns wide, is no longer connected
    alone, gap = connectivity_error(cut, truth), 20 / 1000
    assert alone == pytest.approx(gap, abs=1e-9)
    faded = truth.copy()
    faded[:, 25:] *= 0.5
    assert connectivity_error(faded, truth) == pytest.approx(20 * 10 * 0.5 / 1000, abs=1e-6)
    slight = truth * 0.9
    assert connectivity_error(slight, truth) == pytest.approx(0, abs=1e-6)
