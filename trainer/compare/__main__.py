"""Show the differences between two predictions.

python -m trainer.compare A.csv B.csv [--truth DIR|CSV] [--images DIR] --html FILE
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.task_option import DEFAULT_TASK, add_task_option
from data.tasks import task_named
from trainer.compare.page import write_comparison
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    start_computing()
    side_px = arguments.size_px
    write_comparison(
        task_named(arguments.task),
        *(arguments.a, arguments.b, arguments.html),
        truth=arguments.truth,
        images=arguments.images,
        size_hw=None if side_px is None else (side_px, side_px),
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.compare",
        description="Show the differences between two predictions on a page for a browser.",
    )
    parser.add_argument("a", type=Path, metavar="A.csv", help="a prediction")
    parser.add_argument("b", type=Path, metavar="B.csv", help="another one, of the same images")
    parser.add_argument("--html", type=Path, required=True, metavar="FILE", help="the page to write")
    parser.add_argument("--truth", type=Path, help="true masks: a split folder of the task or a CSV")
    parser.add_argument("--images", type=Path, help="folder of the images, to draw on")
    parser.add_argument("--size-px", type=int, help="side of the images, if no image file is known (default: 2048)")
    add_task_option(parser, default=DEFAULT_TASK)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
