"""Patients become folds: both hands of a patient are always on the same side of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from data.sample import Sample
from utils.errors import UserError


def split_by_patient(samples: Sequence[Sample], folds: int, fold: int) -> tuple[list[Sample], list[Sample]]:
    """The (training, validation) samples of fold 0..folds-1, each in the order of `samples`.

    The folds are those of scikit-learn's `GroupKFold` over patients, with ties settled: see `folds_of_patients`.
    Raises `UserError` for a fold that does not exist and for fewer patients than folds.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold: {fold} is not one of the {folds} folds. Give 0 to {folds - 1}, or raise data.folds.")
    fold_of = folds_of_patients([sample.patient for sample in samples], folds)
    train = [sample for sample in samples if fold_of[sample.patient] != fold]
    valid = [sample for sample in samples if fold_of[sample.patient] == fold]
    return train, valid


def folds_of_patients(patient_of_images: Sequence[str], folds: int) -> dict[str, int]:
    """The fold of each patient: those with most images first, each into the fold with the fewest images so far.

    Ties go to the later patient and to the lower fold, on every machine. scikit-learn leaves ties among patients to
    numpy's unstable sort, so there the same data can give other folds on another processor or version of numpy.
    """
    images = Counter(patient_of_images)
    if len(images) < folds:
        raise UserError(f"data.folds: {folds} folds of {len(images)} patients. Give at most one fold per patient.")
    filled = [0] * folds
    fold_of = {}
    for patient in sorted(images, key=lambda patient: (images[patient], patient), reverse=True):
        fold_of[patient] = filled.index(min(filled))
        filled[fold_of[patient]] += images[patient]
    return fold_of
