"""Check a data set: `python -m data.check ROOT [--task NAME] [--json FILE] [--sheet FILE] [--exclude NAMES]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from data.check.contact_sheet import draw_sheet, refuse_other_formats
from data.check.files import count_files
from data.check.report import as_json, report_lines
from data.check.survey import Survey, check_dataset
from data.sample import names_in
from data.task_option import add_group_option, add_task_option, chosen_task
from utils.files import refuse_unwritable, write_text
from utils.program import run_program

DEFAULT_SHEET = Path("runs/data_check.png")


def main() -> int:
    arguments = parse()
    refuse_other_formats(arguments.sheet, "--sheet")
    refuse_unwritable([arguments.json] if arguments.json else [])
    task = chosen_task(arguments)
    if arguments.count:
        sys.stdout.write(json.dumps(count_files(task, arguments.root)) + "\n")
        return 0
    survey = check_dataset(task, arguments.root, names_in(arguments.exclude))
    show(survey)
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(as_json(survey), indent=2, ensure_ascii=False) + "\n")
        sys.stdout.write(f"{arguments.json}: all findings\n")
    sentence = draw_sheet(arguments.sheet, task, survey)
    if sentence is not None:
        sys.stdout.write(f"{sentence}\n")
    return 2 if survey.faulty else 0


def show(survey: Survey) -> None:
    """Print the report; on a terminal titles are bold. Lines are never wrapped."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in report_lines(survey):
        console.print(Text(line, style="" if line.startswith(" ") else "bold"), soft_wrap=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.check",
        description="Check every image and label of a data set and report all that is wrong or suspicious, at once.",
        epilog="Exit code: 0 nothing was found, 2 something was (notes do not count).",
    )
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="the folder that holds the splits, such as train/ and test/"
    )
    parser.add_argument("--count", action="store_true", help="only count the files, and write the numbers as JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all findings to this file")
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        default=DEFAULT_SHEET,
        help=f"where to draw the suspects, .png or .jpg (default {DEFAULT_SHEET}); not written if there are none",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="NAMES",
        help="what to leave out, as in data.exclude: ID058,ID073/image1.png; may be given several times",
    )
    add_task_option(parser)
    add_group_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
