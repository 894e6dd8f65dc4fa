"""Show the differences between two predictions, and say whether one of two scored runs is better.

python -m trainer.compare A.csv B.csv [--truth DIR|CSV] [--images DIR] [--html FILE]
python -m trainer.compare RUN_A RUN_B
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.task_option import add_task_option, chosen_task
from trainer.compare.page import write_comparison
from trainer.compare.scores import compare_scores, holds_scores
from utils.errors import UserError
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    start_computing()
    if scored(arguments):
        compare_scores(chosen_task(arguments), arguments.a, arguments.b)
        return
    side_px = arguments.size_px
    write_comparison(
        chosen_task(arguments),
        *(arguments.a, arguments.b, arguments.html),
        truth=arguments.truth,
        images=arguments.images,
        size_hw=None if side_px is None else (side_px, side_px),
    )


def scored(arguments: argparse.Namespace) -> bool:
    """Whether scores are compared and not masks. Raises `UserError` for one of each, and for what needs masks."""
    a, b = map(holds_scores, (arguments.a, arguments.b))
    if a != b:
        prediction, scores = (arguments.b, arguments.a) if a else (arguments.a, arguments.b)
        raise UserError(f"{prediction}: is a prediction, but {scores} holds scores. Name two of one kind.")
    for option in ("html", "truth", "images", "size_px"):
        if a and getattr(arguments, option) is not None:
            raise UserError(f"--{option.replace('_', '-')}: needs masks, and scores hold none. Name two predictions.")
    return a


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.compare",
        description="Show the differences between two predictions on a page for a browser, and say whether one of "
        "them, or of two scored runs, is better.",
    )
    parser.add_argument("a", type=Path, metavar="A", help="a prediction, a run's folder or a JSON file of scores")
    parser.add_argument("b", type=Path, metavar="B", help="another one, of the same images")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page to write, of two predictions")
    parser.add_argument("--truth", type=Path, help="true masks: a split folder of the task or a CSV")
    parser.add_argument("--images", type=Path, help="folder of the images, to draw on")
    parser.add_argument("--size-px", type=int, help="side of the images, if no image file is known (default: 2048)")
    add_task_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
