"""Thresholds are moved where that helps images that were not looked at, and nowhere else."""

from __future__ import annotations

import numpy as np

from trainer.thresholds.choice import HALF, Curves, best_thresholds, choose_thresholds, outer_folds, tune, unseen_dice
from trainer.thresholds.curves import THRESHOLDS

PLACES = np.arange(len(THRESHOLDS))


def curves(peaks_NC: np.ndarray, *, runs: int = 3, noise: float = 0.0) -> Curves:
    """Images whose Dice falls by 0.002 per step from each class's peak; two images of each patient."""
    rng = np.random.default_rng(0)
    dice = 0.95 - 0.002 * np.abs(PLACES - peaks_NC[..., None]) + noise * rng.normal(size=(*peaks_NC.shape, 1))
    patients = [f"ID{index // 2:03}" for index in range(len(peaks_NC))]
    return Curves(dice, patients, [index // 2 % runs for index in range(len(peaks_NC))])


def test_a_class_whose_best_threshold_is_elsewhere_goes_there() -> None:
    peaks = np.tile([HALF, HALF - 20, HALF + 11], (24, 1))
    tuned = tune(curves(peaks, noise=0.02))
    assert tuned.thresholds_C.tolist() == [0.5, 0.3, 0.61]
    assert np.allclose(tuned.estimate_C - tuned.at_half_C, [0, 0.04, 0.022])
    assert tuned.folds == 3


def test_noise_leaves_nearly_all_classes_at_one_half() -> None:
    rng = np.random.default_rng(1)
    peaks = HALF + rng.integers(-30, 31, (40, 200))
    every = curves(peaks)
    assert (best_thresholds(every.dice_NCT) != HALF).mean() > 0.8, "the highest point alone would move most of them"
    assert (choose_thresholds(every.dice_NCT, every.groups) != HALF).mean() < 0.1


def test_where_the_procedure_loses_on_unseen_images_nothing_is_moved() -> None:
    peaks = np.full((12, 1), HALF)
    peaks[:4], peaks[4:] = HALF - 30, HALF + 25
    told = Curves(curves(peaks).dice_NCT, [f"ID{index:03}" for index in range(12)], [0] * 4 + [1] * 8)
    assert choose_thresholds(told.dice_NCT, told.groups)[0] != HALF
    tuned = tune(told)
    assert tuned.gain < 0
    assert tuned.thresholds_C.tolist() == [0.5]


def test_a_class_that_loses_on_unseen_images_stays_while_others_move() -> None:
    peaks = np.full((12, 9), HALF - 20)
    peaks[:4, 0], peaks[4:, 0] = HALF - 30, HALF + 25
    told = Curves(curves(peaks).dice_NCT, [f"ID{index:03}" for index in range(12)], [0] * 4 + [1] * 8)
    assert (choose_thresholds(told.dice_NCT, told.groups) != HALF).all()
    assert tune(told).thresholds_C.tolist() == [0.5] + [0.3] * 8


def test_the_estimate_of_a_fold_does_not_know_its_images() -> None:
    told = curves(HALF + np.random.default_rng(2).integers(-9, -3, (24, 5)))
    folds = outer_folds(told)
    before = unseen_dice(told.dice_NCT, folds, told.groups)
    changed = told.dice_NCT.copy()
    changed[folds == 1] = changed[folds == 1][..., ::-1]
    after = unseen_dice(changed, folds, told.groups)
    chosen = [np.flatnonzero(changed[folds == 1][0, c] == after[folds == 1][0, c]) for c in range(5)]
    was = [np.flatnonzero(told.dice_NCT[folds == 1][0, c] == before[folds == 1][0, c]) for c in range(5)]
    assert all(set(a) & set(b) for a, b in zip(chosen, was, strict=True)), "the others chose the same thresholds"


def test_runs_are_the_folds_where_each_held_out_its_own_patients() -> None:
    peaks = np.full((12, 1), HALF)
    assert outer_folds(curves(peaks, runs=3)).tolist() == [index // 2 % 3 for index in range(12)]
    alone = curves(peaks, runs=1)
    twice = Curves(np.tile(alone.dice_NCT, (2, 1, 1)), [*alone.groups, *alone.groups], [0] * 12 + [1] * 12)
    for told in (alone, twice):
        folds = outer_folds(told)
        assert len(set(folds.tolist())) == 5
        sides = {(patient, fold) for patient, fold in zip(told.groups, folds.tolist(), strict=True)}
        assert len(sides) == 6, "no patient in two folds"


def test_of_equal_thresholds_the_one_nearest_one_half_is_taken() -> None:
    flat = np.full((2, 1, len(THRESHOLDS)), 0.9)
    flat[..., :10] = 0.8
    assert best_thresholds(flat).tolist() == [HALF]
    flat[..., HALF - 3 : HALF + 2] = 0.5
    assert best_thresholds(flat).tolist() == [HALF + 2]


def test_one_patient_moves_nothing() -> None:
    assert choose_thresholds(curves(np.full((2, 4), HALF + 9)).dice_NCT, ["ID001", "ID001"]).tolist() == [HALF] * 4
