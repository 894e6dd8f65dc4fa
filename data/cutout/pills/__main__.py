"""Render pills to cut out: `python -m data.cutout.pills --out DIR --images 120 [--size 320] [--seed 0]`.

With `--grounds wood,stone` the pills lie on these grounds alone, with `--bare` there are no pills, and with `--things
0.3` other things lie among them in three images of ten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.cutout.pills.dataset import PillSet, write_pills
from data.cutout.pills.grounds import GROUNDS
from utils.arguments import seed_number, whole_number
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.program import run_program
from utils.progress import track


def main() -> int:
    arguments = parse()
    if not 0 <= arguments.things <= 1:
        raise UserError(f"--things {arguments.things:g}: expected a share of the images, 0 to 1, such as 0.3.")
    if (arguments.out / "annotations.json").exists():
        raise UserError(f"--out {arguments.out}: holds annotations.json already. Name another folder, or remove it.")
    refuse_unwritable([arguments.out / "annotations.json"])
    grounds = arguments.grounds.split(",")
    for name in grounds:
        if name not in GROUNDS:
            raise UserError(f"--grounds: '{name}' is not a ground. {did_you_mean_of_all(name, GROUNDS)}")
    wanted = PillSet(
        arguments.images, arguments.size, arguments.seed, grounds, bare=arguments.bare, things=arguments.things
    )
    for _ in track(write_pills(arguments.out, wanted), "Rendering pills", wanted.images):
        pass
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.cutout.pills", description="Render pills on varied grounds, labelled as a COCO data set."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for images/, truth/ and annotations.json")
    parser.add_argument("--images", type=whole_number(1, 1_000_000), required=True, help="number of images")
    parser.add_argument(
        "--size", type=whole_number(32, 4096), default=320, help="about how many pixels a side has (default 320)"
    )
    parser.add_argument(
        "--things",
        type=float,
        default=0.0,
        help="share of images with keys, nuts or leaves among the pills (default 0)",
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="same seed, same images (default 0)")
    parser.add_argument(
        "--grounds", default=",".join(GROUNDS), metavar="A,B", help=f"what they lie on (default: {', '.join(GROUNDS)})"
    )
    parser.add_argument("--bare", action="store_true", help="grounds without pills, such as to replace backgrounds by")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
