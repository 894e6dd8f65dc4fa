"""Join several models into one submission: `python K-fold_ensemble.py --csv CSV… --output CSV`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from utils.errors import exit_code_of
from utils.heap import keep_freed_memory
from utils.log import log_to_console


def main() -> None:
    arguments = parse()
    log_to_console()
    keep_freed_memory()
    from data.task import task_named
    from data.vote import vote_files

    vote_files(
        arguments.csv,
        arguments.output,
        task_named(arguments.task).classes,
        vote=arguments.vote,
        weights=arguments.weights,
        prefer=arguments.prefer,
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Join several models into one submission.")
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument("--csv", type=Path, nargs="+", help="submissions that vote on every pixel, in any row order")
    parser.add_argument("--output", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--weights", nargs="+", default=[], metavar="W", help="a number for each, in their order")
    parser.add_argument(
        "--vote",
        default="majority",
        metavar="N",
        help="'majority': keep pixels that more than half of the weight holds, none at exactly half; "
        "N: those that a weight of N or more holds (default: majority)",
    )
    parser.add_argument(
        "--prefer", nargs="+", default=[], metavar="CLASS=FILE", help="take a class from one of the files alone"
    )
    parser.add_argument("--task", default="hand_bone", help="whose classes the files speak of (default: hand_bone)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
