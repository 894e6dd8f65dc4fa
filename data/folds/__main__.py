"""Divide groups of images into folds: `python -m data.folds --root ROOT --out folds/ --k 5 [--by WORD] [--seed N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.folds.files import write_fold_files
from data.folds.split import divide, measures_of, refuse_other_words
from data.folds.table import show_folds
from data.sample import names_in
from data.task_option import add_group_option, add_task_option, chosen_task
from utils.arguments import seed_number, whole_number
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

DEFAULT_FOLDS = 5


def main() -> None:
    arguments = parse()
    log_to_console()
    task = chosen_task(arguments)
    layout, excluded = task.layout, names_in(arguments.exclude)
    by = arguments.by or layout.group
    refuse_other_words(task, by)
    samples = layout.find_samples(layout.labelled_in(arguments.root), labelled=True, exclude=excluded)
    refuse_more_folds(arguments.k, len({sample.group for sample in samples}), layout.group)
    folds = arguments.k or DEFAULT_FOLDS
    measures = {} if task.strata is None else measures_of(task.strata, samples)
    fold_of = divide(task, samples, measures, by, folds, arguments.seed)
    write_fold_files(arguments.out, samples, fold_of, folds)
    show_folds(task, samples, measures, fold_of, folds)
    sys.stdout.write(f"{arguments.out}: {folds} files. Train with data.fold_files={arguments.out} fold=all\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.folds", description="Divide a data set into folds and write a file for each."
    )
    parser.add_argument("--root", type=Path, required=True, help="the data set's folder, that of data.root")
    parser.add_argument("--out", type=Path, required=True, help="the folder for fold_0.csv, fold_1.csv, …")
    parser.add_argument("--k", type=whole_number(2, 1000), help=f"number of folds (default: {DEFAULT_FOLDS})")
    parser.add_argument(
        "--by",
        metavar="WORD",
        help="the task's word for a group of images (default; hand_bone: patient): equal numbers of images; the task's "
        "word for what kinds of images differ in (hand_bone: wrist): kinds spread evenly as well",
    )
    parser.add_argument("--seed", type=seed_number, help="shuffle by this number (default: no chance at all)")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAMES", help="groups or images to leave out: ID058,ID073"
    )
    add_task_option(parser)
    add_group_option(parser)
    return parser.parse_args()


def refuse_more_folds(k: int | None, groups: int, noun: str) -> None:
    """Raise `UserError` if there are fewer groups than folds; `k` is None if `--k` was not given."""
    folds = k or DEFAULT_FOLDS
    if groups >= folds:
        return
    named = f"{folds} folds" if k else f"{folds} folds (the default)"
    way_out = f"Give --k={groups}{' or fewer' if groups > 2 else ''}." if groups > 1 else f"Add another {noun}."
    raise UserError(f"--k: {named} of {groups} {noun}{'s' if groups > 1 else ''}. {way_out}")


if __name__ == "__main__":
    run_program(main)
