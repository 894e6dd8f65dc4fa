"""Join several models into one submission.

python K-fold_ensemble.py --runs RUN… --output CSV [--images DIR] [--threshold 0.5|FILE]    the mean of probabilities
python K-fold_ensemble.py --csv CSV… --output CSV [--vote N|majority]                       a vote on pixels
"""

from __future__ import annotations

import argparse
from pathlib import Path

from configs.command_line import explain_config
from data.task_option import add_task_option, chosen_task
from trainer.records.weights_files import single_runs, weights_of
from utils.errors import UserError
from utils.files import refuse_missing_images
from utils.processes import process_ranks, report_once
from utils.program import run_program, start_computing

OF_RUNS, OF_CSVS = ("images", "threshold", "overrides"), ("vote", "prefer", "task", "classes")
"""Options of `--runs` alone, and of `--csv` alone."""


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    with report_once():
        if arguments.csv and process_ranks().world > 1:
            raise UserError("--csv: a vote is taken in one process. Start this program without a launcher.")
        refuse_missing_images(arguments.images)
        for run in arguments.runs:
            for single in single_runs(run):
                weights_of(single)
    start_computing(quiet=not process_ranks().is_main)
    average(arguments) if arguments.runs else vote(arguments)


def average(arguments: argparse.Namespace) -> None:
    from trainer.ensemble.predict import predict_together

    predict_together(
        arguments.runs,
        arguments.images,
        arguments.output,
        weights=arguments.weights,
        threshold=arguments.threshold,
        overrides=arguments.overrides,
    )


def vote(arguments: argparse.Namespace) -> None:
    from data.submission.vote import vote_files

    vote_files(
        arguments.csv,
        arguments.output,
        chosen_task(arguments).classes,
        vote=arguments.vote or "majority",
        weights=arguments.weights,
        prefer=arguments.prefer,
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Join several models into one submission.", add_help=False)
    explain_config(parser)
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument(
        "--runs", type=Path, nargs="+", default=[], metavar="RUN", help="runs whose probabilities are averaged"
    )
    models.add_argument(
        "--csv", type=Path, nargs="+", default=[], help="submissions that vote on every pixel, in any row order"
    )
    parser.add_argument("--output", type=Path, required=True, help="the CSV to write")
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="W",
        help='a number for each, in their order; with --runs also a JSON file: {"RUN": 2, "RUN": {"default": 1, '
        '"Pisiform": 3}}',
    )
    add_settings_of_runs(parser.add_argument_group("with --runs"))
    add_settings_of_votes(parser.add_argument_group("with --csv"))
    return checked(parser, settings_apart(parser.parse_intermixed_args()))


def add_settings_of_runs(runs: argparse._ArgumentGroup) -> None:
    runs.add_argument("--images", type=Path, help="folder of images such as <root>/test/DCM (default: the config's)")
    runs.add_argument(
        "--threshold",
        metavar="NUMBER|FILE",
        help="probability above which a pixel belongs to a class, or a file with one for each class, as "
        "python -m trainer.thresholds writes it (default: the runs' own)",
    )
    runs.add_argument(
        "overrides", nargs="*", metavar="key=value", help="for all runs, as for inference.py: predict.tta.hflip=true"
    )


def add_settings_of_votes(csvs: argparse._ArgumentGroup) -> None:
    csvs.add_argument(
        "--vote",
        metavar="N",
        help="'majority': keep pixels that more than half of the weight holds, none at exactly half; "
        "N: those that a weight of N or more holds (default: majority)",
    )
    csvs.add_argument(
        "--prefer", nargs="+", default=[], metavar="CLASS=FILE", help="take a class from one of the files alone"
    )
    add_task_option(csvs)


def settings_apart(arguments: argparse.Namespace) -> argparse.Namespace:
    """Move `key=value` from lists that argparse extended with it to the overrides.

    Example: `--weights 1 2 predict.tta.hflip=true`.
    """
    for name in ("runs", "weights"):
        listed = getattr(arguments, name)
        behind = [item for item in listed if "=" in Path(item).name and not Path(item).exists()]
        setattr(arguments, name, [item for item in listed if item not in behind])
        arguments.overrides += map(str, behind)
    return arguments


def checked(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> argparse.Namespace:
    """Exit with an error if an option is given that the chosen way of joining would ignore."""
    if not arguments.runs and not arguments.csv:
        parser.error("--runs: name at least one run before the settings, such as runs/mine")
    mine, others = ("--runs", OF_CSVS) if arguments.runs else ("--csv", OF_RUNS)
    for name in others:
        if getattr(arguments, name):
            option = arguments.overrides[0] if name == "overrides" else f"--{name}"
            parser.error(f"{option}: does not go with {mine}")
    return arguments


if __name__ == "__main__":
    run_program(main)
