"""Convert labels: `python -m data.convert --from FORMAT --to FORMAT IN OUT [--images DIR] [--classes FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.convert.convert import FORMATS, WRITTEN, convert
from data.convert.settings import Settings
from data.polygons.classes import read_classes
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    arguments = parse()
    log_to_console()
    if arguments.images is not None and not arguments.images.is_dir():
        raise UserError(f"--images: {arguments.images} is no folder. Name the folder of the images.")
    classes = None
    if arguments.classes is not None:
        classes = {entry.name: entry.colour for entry in read_classes(arguments.classes)}
    settings = Settings(arguments.images, skip_others=arguments.skip_others)
    convert(arguments.source, arguments.of, arguments.target, arguments.to, settings, classes)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.convert", description="Convert labels between formats; the pixels stay the same."
    )
    parser.add_argument("source", type=Path, metavar="IN", help="contest and labelme: a folder; others: a file")
    parser.add_argument("target", type=Path, metavar="OUT", help="contest and labelme: a folder; others: a new file")
    parser.add_argument("--from", dest="of", required=True, choices=FORMATS, help="the format of IN")
    parser.add_argument("--to", required=True, choices=WRITTEN, help="the format of OUT")
    parser.add_argument("--images", type=Path, metavar="DIR", help="the folder of the images, for names and sizes")
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="refuse other classes than those of a YAML list, or of a config"
    )
    parser.add_argument("--skip-others", action="store_true", help="leave out boxes and other shapes without regions")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
