"""Measure what a config needs: `python -m trainer.measure --config FILE [key=value …] [--json FILE]`.

Exit code 2 if the run would not work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from configs.command_line import add_overrides
from configs.loading.load import load
from trainer.measure.record import Record
from utils.doctor.finding import problem
from utils.errors import UserError
from utils.program import run_program, start_computing


def main() -> int:
    arguments = parse()
    start_computing()
    record = Record(arguments.json)
    try:
        config = load(arguments.config, arguments.overrides)
        # What is wrong with the config has been reported before these large libraries are loaded.
        from trainer.measure.measure import measure
        from trainer.runs.folds import first_fold

        measure(first_fold(config), record)
    except UserError as error:
        record.add([problem("config", str(error), "fix it and measure again")])
    return record.close()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.measure", description="Measure what an experiment needs.", add_help=False
    )
    parser.add_argument("--config", type=Path, required=True, help="the experiment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write numbers and findings there")
    add_overrides(parser)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
