"""Show what several networks cut out of the same images.

python -m trainer.compare_cutouts --models A B --images DIR [--masks DIR] --html FILE
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.records.weights_files import weights_of
from utils.files import refuse_missing_images
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    refuse_missing_images(arguments.images)
    for model in arguments.models:
        weights_of(model)
    start_computing()
    from trainer.compare_cutouts.page import write_comparison

    write_comparison(arguments.models, arguments.images, arguments.html, masks=arguments.masks)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.compare_cutouts",
        description="Show what several networks cut out of the same images, side by side on a page for a browser.",
    )
    parser.add_argument(
        "--models", type=Path, nargs="+", required=True, metavar="RUN", help="runs or weights files, two or more"
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of images, or one")
    parser.add_argument("--masks", type=Path, help="folder of true masks with the names of the images: adds scores")
    parser.add_argument("--html", type=Path, required=True, metavar="FILE", help="the page to write")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
