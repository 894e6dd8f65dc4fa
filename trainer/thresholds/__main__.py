"""Tune a threshold per class: `python -m trainer.thresholds --runs RUN… [--output thresholds.json]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.records.weights_files import weights_of_runs
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    weights_of_runs(arguments.runs)  # before torch is loaded
    start_computing()
    from trainer.thresholds.tune_runs import tune_runs

    tune_runs(arguments.runs, arguments.output)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.thresholds", description="Tune a threshold per class on the images that runs held out."
    )
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="folders of runs or of cross-validations, or weights files"
    )
    parser.add_argument("--output", type=Path, default=Path("thresholds.json"), help="the file to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
