"""Write the report of a run: `python -m trainer.report --run runs/<name>`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.evaluation.ruler import add_distance_options, ruler_of
from trainer.records.folder import RunFolder, refuse_no_run
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.report", description="Write a run's report.html anew.")
    parser.add_argument("--run", type=Path, required=True, help="a run's folder")
    add_distance_options(parser)
    arguments = parser.parse_args()
    ruler = ruler_of(parser, arguments)
    folder = RunFolder(arguments.run)
    refuse_no_run(folder)  # before torch is loaded
    log_to_console()
    from trainer.report.distances import measure_held_out
    from trainer.report.report import log, write_report

    if ruler is not None:
        measure_held_out(folder, ruler)
    log.info("open %s", write_report(folder))


if __name__ == "__main__":
    run_program(main)
