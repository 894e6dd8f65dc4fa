"""Tune a threshold per class: `python -m trainer.thresholds --runs RUN… [--output thresholds.json]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trainer.thresholds.tune import tune_runs
from utils.errors import exit_code_of
from utils.log import log_to_console
from utils.system.malloc import keep_freed_memory


def main() -> None:
    arguments = parse()
    log_to_console()
    keep_freed_memory()
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
    sys.exit(exit_code_of(main))
