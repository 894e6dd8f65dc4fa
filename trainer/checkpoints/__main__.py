"""Score all kept networks of a run: `python -m trainer.checkpoints --run runs/<name> --images DIR --masks DIR`.

The table is printed and written into the run's folder as `checkpoints.json`; the run's report shows it with a chart and
a contact sheet of cut-outs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.records.folder import RunFolder, refuse_no_run
from utils.files import refuse_missing_images
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    refuse_no_run(RunFolder(arguments.run))
    refuse_missing_images(arguments.images)
    start_computing()
    from trainer.checkpoints.compare import Request, compare_checkpoints

    compare_checkpoints(Request(**vars(arguments)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.checkpoints",
        description="Score all kept networks of a run on the same images: a table, a chart and a contact sheet.",
    )
    parser.add_argument("--run", type=Path, required=True, help="a run's folder")
    parser.add_argument(
        "--images",
        type=Path,
        help="folder of images (default: those that the run held out); without --masks, a split folder with labels",
    )
    parser.add_argument("--masks", type=Path, help="folder of masks with the names of the images")
    parser.add_argument("--protocol", help="also score in another way, and say what it does otherwise: mediseg")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers, of each image too")
    parser.add_argument("--out", type=Path, metavar="PAGE", help="also write table, chart and sheet as a page (.html)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
