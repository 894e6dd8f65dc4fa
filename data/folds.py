"""Patients become folds: both hands of a patient are always on the same side of a split.

python -m data.folds --root ROOT --out folds/ --k 5 [--by patient|wrist] [--seed N]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.fold_files import write_fold_files
from data.fold_table import show_folds
from data.sample import Sample, find_samples, names_in
from data.wrist import angle_of_label, is_bent
from utils.errors import UserError, exit_code_of
from utils.log import log_to_console
from utils.overlap import overlapped
from utils.progress import track

DivideInto = Callable[[Sequence[Sample], Mapping[str, float], int, "int | None"], dict[str, int]]


def main() -> None:
    arguments = parse()
    log_to_console()
    samples = find_samples(arguments.root / "train", labelled=True, exclude=names_in(arguments.exclude))
    angles_deg = angles_of(samples)
    fold_of = DIVISIONS[arguments.by](samples, angles_deg, arguments.k, arguments.seed)
    write_fold_files(arguments.out, samples, fold_of, arguments.k)
    show_folds(samples, angles_deg, fold_of, arguments.k)
    sys.stdout.write(f"{arguments.out}: {arguments.k} files. Train with data.fold_files={arguments.out} fold=all\n")


def split_by_patient(samples: Sequence[Sample], folds: int, fold: int) -> tuple[list[Sample], list[Sample]]:
    """The (training, validation) samples of fold 0..folds-1, each in the order of `samples`.

    The folds are those of `folds_of_patients`. Raises `UserError` for a fold that does not exist and for fewer patients
    than folds.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold: {fold} is not one of the {folds} folds. Give 0 to {folds - 1}, or raise data.folds.")
    fold_of = folds_of_patients([sample.patient for sample in samples], folds)
    train = [sample for sample in samples if fold_of[sample.patient] != fold]
    valid = [sample for sample in samples if fold_of[sample.patient] == fold]
    return train, valid


def folds_of_patients(patient_of_images: Sequence[str], folds: int, seed: int | None = None) -> dict[str, int]:
    """The fold of each patient by scikit-learn's `GroupKFold`: folds of nearly equal numbers of images.

    Patients with most images come first, and of equals the later name; each goes to the fold with the fewest images so
    far, and of equals the lower. That holds on every machine, for scikit-learn sorts stably from 1.9.1 on. With `seed`
    patients are shuffled and dealt in equal numbers.
    """
    from sklearn.model_selection import GroupKFold

    patients = sorted(patient_of_images)
    refuse_more_folds_than(len(set(patients)), folds)
    splitter = GroupKFold(folds) if seed is None else GroupKFold(folds, shuffle=True, random_state=seed)
    splits = splitter.split(patients, groups=patients)
    return {patients[image]: fold for fold, (_, held_out) in enumerate(splits) for image in held_out}


def folds_by_wrist(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], folds: int, seed: int | None = None
) -> dict[str, int]:
    """The fold of each patient, with bent wrists, images and degrees of bending spread as evenly as patients allow.

    `angles_deg`: the wrist angle of each sample by name, nan where it cannot be told. Patients with most bent hands
    come first, then those with most images; among equals the most bent. Each goes to the fold with the fewest bent
    hands (if it has any), then the fewest images, then the least bending so far. `seed` shuffles neighbours in that
    order, as many as there are folds. (scikit-learn's `StratifiedGroupKFold` knows two classes instead of degrees, and
    spreads bent wrists as evenly, but images and degrees only half as evenly.)
    """
    hands: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        hands[sample.patient].append(angles_deg[sample.name])
    refuse_more_folds_than(len(hands), folds)
    bent = {patient: sum(map(is_bent, angles)) for patient, angles in hands.items()}
    bending = {
        patient: sum(abs(angle) for angle in angles if math.isfinite(angle)) for patient, angles in hands.items()
    }
    order = sorted(hands, key=lambda patient: (-bent[patient], -len(hands[patient]), -bending[patient], patient))
    filled, fold_of = np.zeros((folds, 3)), {}
    for patient in shuffled_nearby(order, folds, seed):
        keys = filled if bent[patient] else filled[:, 1:]
        fold = min(range(folds), key=lambda fold: (*keys[fold].tolist(), fold))
        fold_of[patient] = fold
        filled[fold] += (bent[patient], len(hands[patient]), bending[patient])
    return fold_of


def angles_of(samples: Sequence[Sample]) -> dict[str, float]:
    """The wrist angle in degrees of each labelled sample by name, from its polygons alone; nan where it has none."""
    angles = overlapped(lambda sample: (sample.name, angle_of_label(sample.label)), samples)
    return dict(track(angles, "Measuring wrists", len(samples)))


def shuffled_nearby(order: Sequence[str], length: int, seed: int | None) -> Iterable[str]:
    """The same order, or, with a seed, each stretch of `length` shuffled."""
    if seed is None:
        return order
    rng = np.random.default_rng(seed)
    stretches = [order[start : start + length] for start in range(0, len(order), length)]
    return [stretch[place] for stretch in stretches for place in rng.permutation(len(stretch))]


def refuse_more_folds_than(patients: int, folds: int) -> None:
    if patients < folds:
        raise UserError(f"data.folds: {folds} folds of {patients} patients. Give at most one fold per patient.")


def _by_patient(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], folds: int, seed: int | None
) -> dict[str, int]:
    return folds_of_patients([sample.patient for sample in samples], folds, seed)


DIVISIONS: dict[str, DivideInto] = {"patient": _by_patient, "wrist": folds_by_wrist}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.folds", description="Divide a data set's patients into folds and write a file for each."
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder that holds train/")
    parser.add_argument("--out", type=Path, required=True, help="the folder for fold_0.csv, fold_1.csv, …")
    parser.add_argument("--k", type=fold_count, default=5, help="number of folds (default: 5)")
    parser.add_argument(
        "--by",
        choices=DIVISIONS,
        default="patient",
        help="patient: equal numbers of images (default); wrist: bent wrists spread evenly as well",
    )
    parser.add_argument("--seed", type=seed_number, help="shuffle by this number (default: no chance at all)")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAMES", help="patients or images to leave out: ID058,ID073"
    )
    return parser.parse_args()


def fold_count(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 2 to 1000, got '{text}'")
    return int(text)


def seed_number(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 4294967295, got '{text}'")
    return int(text)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
