"""Divide patients into folds: both hands of a patient are always on the same side of a split."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from data.hand_bone.wrist import angle_of_label, is_bent
from data.sample import Sample
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import track

DivideInto = Callable[[Sequence[Sample], Mapping[str, float], int, "int | None"], dict[str, int]]


def split_by_patient(samples: Sequence[Sample], folds: int, fold: int) -> tuple[list[Sample], list[Sample]]:
    """Return the (training, validation) samples of one fold, each in the order of `samples`.

    The folds 0..folds-1 are those of `folds_of_patients`. Raises `UserError` for a fold that does not exist and for
    fewer patients than folds.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold: {fold} is not one of the {folds} folds. Give 0 to {folds - 1}, or raise data.folds.")
    fold_of = folds_of_patients([sample.group for sample in samples], folds)
    train = [sample for sample in samples if fold_of[sample.group] != fold]
    valid = [sample for sample in samples if fold_of[sample.group] == fold]
    return train, valid


def folds_of_patients(patient_of_images: Sequence[str], folds: int, seed: int | None = None) -> dict[str, int]:
    """Return the fold of each patient, the one that scikit-learn's `GroupKFold` gives it: as many images in each fold.

    Patients are taken in order of their number of images, most first, and of equals the later name first. Each goes to
    the fold with the fewest images so far, and of equals the lower one. With `seed`, scikit-learn shuffles patients and
    deals them in equal numbers. (Without it the rule is written out here: importing scikit-learn takes 3 s and 150 MiB,
    which every start of a training would pay; tests compare the two.)
    """
    images = Counter(patient_of_images)
    refuse_more_folds_than(len(images), folds)
    if seed is not None:
        return _shuffled_folds(sorted(patient_of_images), folds, seed)
    filled = [0] * folds
    fold_of = {}
    for patient in sorted(images, key=lambda patient: (images[patient], patient), reverse=True):
        fold_of[patient] = filled.index(min(filled))
        filled[fold_of[patient]] += images[patient]
    return fold_of


def _shuffled_folds(patients: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Deal shuffled patients into folds; `patients` has a name for each image."""
    from sklearn.model_selection import GroupKFold

    splits = GroupKFold(folds, shuffle=True, random_state=seed).split(patients, groups=patients)
    return {patients[image]: fold for fold, (_, held_out) in enumerate(splits) for image in held_out}


def folds_by_wrist(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], folds: int, seed: int | None = None
) -> dict[str, int]:
    """Return the fold of each patient; bent wrists, images and degrees of bending are spread as evenly as possible.

    `angles_deg` is the wrist angle of each sample by name, nan if unknown. Patients are taken in order of their bent
    hands, most first, then of their images, then of their degrees. A patient with bent hands goes to the fold with the
    fewest bent hands so far; then the fewest images decide, then the fewest degrees. `seed` shuffles each stretch of
    that order that is as long as there are folds. (scikit-learn's `StratifiedGroupKFold` takes two classes instead of
    degrees; it spreads bent wrists as evenly, but images and degrees only half as evenly.)
    """
    hands: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        hands[sample.group].append(angles_deg[sample.name])
    refuse_more_folds_than(len(hands), folds)
    bent = {patient: sum(map(is_bent, angles)) for patient, angles in hands.items()}
    bending = {
        patient: sum(abs(angle) for angle in angles if math.isfinite(angle)) for patient, angles in hands.items()
    }
    order = sorted(hands, key=lambda patient: (-bent[patient], -len(hands[patient]), -bending[patient], patient))
    sums, fold_of = np.zeros((folds, 3)), {}  # of each fold so far: bent hands, images, degrees
    for patient in shuffled_nearby(order, folds, seed):
        keys = sums if bent[patient] else sums[:, 1:]
        fold = min(range(folds), key=lambda fold: (*keys[fold].tolist(), fold))
        fold_of[patient] = fold
        sums[fold] += (bent[patient], len(hands[patient]), bending[patient])
    return fold_of


def angles_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the wrist angle in degrees of each labelled sample by name, from its polygons alone; nan if unknown."""
    angles = map_ahead(lambda sample: (sample.name, angle_of_label(sample.label)), samples)
    return dict(track(angles, "Measuring wrists", len(samples)))


def shuffled_nearby(order: Sequence[str], length: int, seed: int | None) -> Iterable[str]:
    """Return the same order; with a seed, each stretch of `length` items is shuffled."""
    if seed is None:
        return order
    rng = np.random.default_rng(seed)
    stretches = [order[start : start + length] for start in range(0, len(order), length)]
    return [stretch[place] for stretch in stretches for place in rng.permutation(len(stretch))]


def refuse_more_folds_than(patients: int, folds: int) -> None:
    """Raise `UserError` if there are fewer patients than folds."""
    if patients < folds:
        raise UserError(f"data.folds: {folds} folds of {patients} patients. Give at most one fold per patient.")


def _by_patient(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], folds: int, seed: int | None
) -> dict[str, int]:
    return folds_of_patients([sample.group for sample in samples], folds, seed)


DIVISIONS: dict[str, DivideInto] = {"patient": _by_patient, "wrist": folds_by_wrist}
