"""Search for better settings: `python -m trainer.search --config FILE --space SPACE.yaml --trials N [key=value …]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from configs.command_line import add_overrides
from configs.search_space import load_space
from utils.arguments import whole_number
from utils.errors import Interrupted
from utils.program import run_program, start_computing


def main() -> int:
    arguments = parse()
    start_computing()
    # What is wrong with these files is found before torch is loaded.
    load_space(arguments.space, arguments.config, arguments.overrides)
    from trainer.search.search import search

    try:
        search(arguments.config, arguments.space, arguments.trials, arguments.overrides, metric=arguments.metric)
    except Interrupted:
        return 130
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.search", description="Search for better settings.", add_help=False
    )
    parser.add_argument("--config", type=Path, required=True, help="the experiment")
    parser.add_argument(
        "--space",
        type=Path,
        required=True,
        help="a YAML file, a key a line: `optimizer.lr: {low: 1e-4, high: 1e-2, log: true}` or "
        "`loss: {choices: [dice, dice_bce]}`",
    )
    parser.add_argument(
        "--trials", type=whole_number(1, 100_000), required=True, help="trials in all, those of earlier calls included"
    )
    parser.add_argument(
        "--metric",
        choices=("nsd",),
        help="look for a high share of outlines within a tolerance of the true ones, in the place of the task's metric",
    )
    add_overrides(parser)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
