"""Whether one of two predictions is better: SciPy's permutation test over groups, and when nothing can be said."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from trainer.evaluation.paired import FEWEST, paired_test, verdict
from utils.metric import Metric

DICE, ERROR = Metric("dice", "Dice"), Metric("mae", "MAE", higher_is_better=False)


def scores(number: int, gain: float, spread: float, *, of_group: int = 2) -> tuple[dict[str, float], ...]:
    """Scores of A and of B, which is better by `gain` on average, and two images of each group."""
    rng = np.random.default_rng(0)
    a = {f"{group}_{image}.png": float(rng.uniform(0.8, 0.95)) for group in range(number) for image in range(of_group)}
    gains = {group: rng.normal(gain, spread) for group in range(number)}
    return a, {name: score + gains[int(name.split("_")[0])] for name, score in a.items()}


def groups_of(a: dict[str, float]) -> dict[str, str]:
    return {name: name.split("_")[0] for name in a}


def test_a_clear_gain_is_told_from_chance_and_has_its_direction() -> None:
    a, b = scores(12, 0.01, 0.005)
    test = paired_test(a, b, groups_of(a))
    assert test.difference.low > 0
    assert test.p < 0.01
    assert test.is_significant
    assert verdict(test, DICE, "patient").startswith(f"B is better than A: Dice {test.b:.4f} against {test.a:.4f}")
    assert verdict(test, DICE, "patient").endswith("12 patients).")
    assert verdict(paired_test(b, a, groups_of(a)), DICE, "patient").startswith("B is worse than A")
    assert verdict(test, ERROR, "patient").startswith("B is worse than A"), "a higher error is worse"


def test_a_difference_of_chance_is_no_verdict() -> None:
    a, b = scores(12, 0.0005, 0.01)
    test = paired_test(a, b, groups_of(a))
    assert not test.is_significant
    assert verdict(test, DICE, "patient").startswith("Whether B is better than A cannot be said: Dice 0.")
    same = paired_test(a, a, groups_of(a))
    assert (same.p, same.difference.mean, same.is_significant) == (1.0, 0.0, False)


def test_the_p_is_that_of_all_exchanges_of_whole_groups() -> None:
    a, b = scores(7, 0.004, 0.006)
    sums = [sum(b[name] - a[name] for name in a if name.startswith(f"{group}_")) for group in range(7)]
    means = [abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=7)]
    expected = np.mean([mean >= abs(sum(sums)) - 1e-12 for mean in means])
    assert paired_test(a, b, groups_of(a)).p == pytest.approx(expected)
    assert paired_test(a, b, {}).p < expected, "images of one patient are no independent evidence"


def test_nothing_can_be_said_of_few_patients_however_large_the_gain() -> None:
    a, b = scores(FEWEST - 1, 0.05, 0.0001, of_group=20)
    sentence = verdict(paired_test(a, b, groups_of(a)), DICE, "patient")
    assert sentence.startswith("Whether B is better than A cannot be said, Dice ")
    assert sentence.endswith("that takes 6 patients, and here are 5 patients.")
    more_a, more_b = scores(FEWEST, 0.05, 0.0001)
    assert paired_test(more_a, more_b, groups_of(more_a)).is_significant


def test_unknown_patients_are_admitted() -> None:
    a, b = scores(12, 0.01, 0.005)
    sentence = verdict(paired_test(a, b, {}), DICE, "patient")
    assert sentence.endswith("24 images, each regarded as a patient of its own).")
