"""Score a submission: `python evaluate.py --prediction CSV --truth DIR|CSV [--json FILE] [--gallery DIR]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.task_option import add_group_option, add_task_option, chosen_task
from trainer.evaluation.ruler import add_distance_options, ruler_of
from utils.program import run_program, start_computing


def main() -> None:
    parser = make_parser()
    arguments = parser.parse_args()
    ruler = ruler_of(parser, arguments)
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
        ruler=ruler,
        images=arguments.images,
    )


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The contest's Dice of a submission, per class, image and wrist.")
    parser.add_argument("--prediction", type=Path, required=True, help="the submission CSV")
    parser.add_argument("--truth", type=Path, required=True, help="a split folder (DCM/, outputs_json/) or a CSV")
    parser.add_argument("--images", type=Path, help="the images, if the truth is a folder of masks or a CSV")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--gallery", type=Path, help="also show the worst cases: index.html in this folder")
    parser.add_argument("--size-px", type=int, help="side of the images, where the truth is a CSV (default: 2048)")
    parser.add_argument("--details", action="store_true", help="also compute all other numbers that the task knows")
    add_distance_options(parser)
    add_task_option(parser)
    add_group_option(parser)
    return parser


if __name__ == "__main__":
    run_program(main)
