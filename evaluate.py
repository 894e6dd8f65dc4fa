"""Score a submission: `python evaluate.py --prediction CSV --truth DIR|CSV [--json FILE] [--gallery DIR]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data.task_option import add_task_option, chosen_task
from utils.arguments import positive_number
from utils.program import run_program, start_computing

if TYPE_CHECKING:
    from trainer.evaluation.distances import Ruler


def main() -> None:
    arguments = parse()
    start_computing()
    from trainer.evaluate import score_files

    score_files(
        chosen_task(arguments),
        arguments.prediction,
        arguments.truth,
        size_hw=None if arguments.size_px is None else (arguments.size_px, arguments.size_px),
        json_file=arguments.json,
        gallery=arguments.gallery,
        details=arguments.details,
        ruler=ruler_of(arguments),
        images=arguments.images,
    )


def ruler_of(arguments: argparse.Namespace) -> Ruler | None:
    """Return how distances are measured; None if they are not asked for."""
    from trainer.evaluation.distances import Ruler

    if not arguments.distances:
        return None
    return Ruler(arguments.tolerance) if arguments.mm is None else Ruler(arguments.tolerance, arguments.mm, "mm")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The contest's Dice of a submission, per class, image and wrist.")
    parser.add_argument("--prediction", type=Path, required=True, help="the submission CSV")
    parser.add_argument("--truth", type=Path, required=True, help="a split folder (DCM/, outputs_json/) or a CSV")
    parser.add_argument("--images", type=Path, help="the images, if the truth is a folder of masks or a CSV")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--gallery", type=Path, help="also show the worst cases: index.html in this folder")
    parser.add_argument("--size-px", type=int, help="side of the images, where the truth is a CSV (default: 2048)")
    parser.add_argument("--details", action="store_true", help="also compute all other numbers that the task knows")
    parser.add_argument("--distances", action="store_true", help="also measure how far outlines lie from the true ones")
    parser.add_argument("--tolerance", type=positive_number, default=2.0, help="distance of outlines that agree: 2")
    parser.add_argument("--mm", type=positive_number, help="side of a pixel: distances and tolerance are then in mm")
    add_task_option(parser)
    arguments = parser.parse_args()
    if not arguments.distances and (arguments.mm is not None or arguments.tolerance != parser.get_default("tolerance")):
        parser.error("--tolerance and --mm belong to --distances")
    return arguments


if __name__ == "__main__":
    run_program(main)
