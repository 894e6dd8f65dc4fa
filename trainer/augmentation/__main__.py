"""Show what a config's augmentation makes of its images: `python -m trainer.augmentation --config FILE --out FILE.png`.

With `--each` every transform of the list alone, each time applied.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2

from configs.command_line import add_overrides
from configs.loading.load import load
from data.check.contact_sheet import refuse_other_formats
from trainer.augmentation.sheet import Wanted, draw_sheet
from trainer.runs.folds import first_fold
from utils.arguments import whole_number
from utils.files import refuse_unwritable, replacing
from utils.program import run_program, start_computing


def main() -> int:
    arguments = parse()
    start_computing()
    refuse_other_formats(arguments.out, "--out")
    refuse_unwritable([arguments.out])
    wanted = Wanted(arguments.samples, arguments.draws, arguments.each, arguments.side)
    picture = draw_sheet(first_fold(load(arguments.config, arguments.overrides)), wanted)
    _, encoded = cv2.imencode(arguments.out.suffix.lower(), picture)
    with replacing(arguments.out) as file:
        file.write(encoded.tobytes())
    sys.stdout.write(f"{arguments.out}: what the training sees, with the masks' outlines\n")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.augmentation",
        description="Draw augmented training images with their masks' outlines.",
        add_help=False,
    )
    parser.add_argument("--config", type=Path, required=True, help="the experiment")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the sheet, a .png or .jpg")
    parser.add_argument("--samples", type=whole_number(1, 1000), default=4, help="how many training images (default 4)")
    parser.add_argument(
        "--draws", type=whole_number(1, 1000), default=5, help="how often each is augmented (default 5)"
    )
    parser.add_argument("--each", action="store_true", help="a row for each transform of the list, applied alone")
    parser.add_argument(
        "--side", type=whole_number(16, 4096), default=256, metavar="PX", help="largest side of a tile (default 256)"
    )
    add_overrides(parser)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
