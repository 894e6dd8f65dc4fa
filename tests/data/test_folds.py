from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.folds import split_by_patient
from data.sample import Sample
from utils.errors import UserError


def samples_of(counts: list[int]) -> list[Sample]:
    """As many images of each patient as `counts` says."""
    return [
        Sample(f"image{patient}_{image}.png", f"ID{patient:03d}", Path("x"))
        for patient, count in enumerate(counts)
        for image in range(count)
    ]


def group_k_fold(samples: list[Sample], folds: int) -> list[tuple[list[Sample], list[Sample]]]:
    """scikit-learn's (training, validation) samples of each fold."""
    from sklearn.model_selection import GroupKFold

    splits = GroupKFold(folds).split(samples, groups=[sample.patient for sample in samples])
    return [([samples[i] for i in train], [samples[i] for i in valid]) for train, valid in splits]


@given(st.lists(st.integers(1, 60), min_size=5, max_size=12, unique=True), st.integers(2, 5))
def test_without_ties_the_folds_are_those_of_group_k_fold(counts: list[int], folds: int) -> None:
    samples = samples_of(counts)
    for fold, expected in enumerate(group_k_fold(samples, folds)):
        assert split_by_patient(samples, folds, fold) == expected


@given(st.lists(st.integers(1, 4), min_size=5, max_size=40), st.integers(2, 5))
def test_with_ties_the_folds_are_as_large_as_those_of_group_k_fold(counts: list[int], folds: int) -> None:
    samples = samples_of(counts)
    for fold, (_, valid) in enumerate(group_k_fold(samples, folds)):
        assert len(split_by_patient(samples, folds, fold)[1]) == len(valid)


def test_ties_go_to_the_later_patient_and_the_lower_fold() -> None:
    held_out = [{sample.patient for sample in split_by_patient(samples_of([2] * 5), 2, fold)[1]} for fold in range(2)]
    assert held_out == [{"ID004", "ID002", "ID000"}, {"ID003", "ID001"}]


def test_no_patient_is_on_both_sides_and_each_image_is_held_out_once() -> None:
    samples = samples_of([2] * 23)
    held_out = []
    for fold in range(5):
        train, valid = split_by_patient(samples, 5, fold)
        assert not {s.patient for s in train} & {s.patient for s in valid}
        assert len(train) + len(valid) == len(samples)
        held_out += valid
    assert sorted(held_out, key=samples.index) == samples


def test_the_folds_do_not_depend_on_the_order_of_the_samples() -> None:
    samples = samples_of([2, 1, 3, 2, 2])
    shuffled = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))]
    assert set(split_by_patient(shuffled, 3, 1)[1]) == set(split_by_patient(samples, 3, 1)[1])


@pytest.mark.parametrize(("folds", "fold", "fault"), [(5, 5, "0 to 4"), (5, -1, "0 to 4"), (9, 0, "9 folds of 3")])
def test_folds_that_do_not_exist_are_refused(folds: int, fold: int, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        split_by_patient(samples_of([2, 2, 2]), folds, fold)
