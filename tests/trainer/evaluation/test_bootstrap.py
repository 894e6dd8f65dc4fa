from __future__ import annotations

import numpy as np
import pytest

from trainer.evaluation.bootstrap import Interval, mean_interval


def test_the_interval_of_many_values_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(0.9, 0.05, 500)
    found = mean_interval(list(values))
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert (found.mean - found.low, found.high - found.mean) == pytest.approx((half, half), rel=0.1)
    assert mean_interval(list(values)) == found
    assert mean_interval(list(values), seed=1) != found


def test_images_of_one_group_count_as_one() -> None:
    """Each value stands twice: without groups the interval would be narrower by the root of two."""
    values = list(np.random.default_rng(2).normal(0.9, 0.05, 300))
    names = [str(number) for number in range(300)]
    once = mean_interval(values)
    twice = mean_interval(values * 2, groups=names * 2)
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.1)
    assert twice.mean == pytest.approx(once.mean)


def test_intervals_of_one_value_and_of_none() -> None:
    assert mean_interval([0.5]) == Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_the_number_of_a_curve_is_that_of_the_mean_curve() -> None:
    curves = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    found = mean_interval(curves, reduce=lambda curve: float(curve.max()))
    assert found.mean == pytest.approx(2 / 3)
    assert 0.5 <= found.low <= found.mean <= found.high == 1.0
