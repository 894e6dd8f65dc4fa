"""Divide patients into folds: `python -m data.folds --root ROOT --out folds/ --k 5 [--by patient|wrist] [--seed N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.folds.files import write_fold_files
from data.folds.split import DIVISIONS, angles_of
from data.folds.table import show_folds
from data.hand_bone.layout import find_samples
from data.sample import names_in
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    arguments = parse()
    log_to_console()
    samples = find_samples(arguments.root / "train", labelled=True, exclude=names_in(arguments.exclude))
    angles_deg = angles_of(samples)
    fold_of = DIVISIONS[arguments.by](samples, angles_deg, arguments.k, arguments.seed)
    write_fold_files(arguments.out, samples, fold_of, arguments.k)
    show_folds(samples, angles_deg, fold_of, arguments.k)
    sys.stdout.write(f"{arguments.out}: {arguments.k} files. Train with data.fold_files={arguments.out} fold=all\n")


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
    """Parse a number of folds, 2 to 1000."""
    if not text.isdecimal() or not 2 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 2 to 1000, got '{text}'")
    return int(text)


def seed_number(text: str) -> int:
    """Parse a seed, 0 to 2³² - 1."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 4294967295, got '{text}'")
    return int(text)


if __name__ == "__main__":
    run_program(main)
