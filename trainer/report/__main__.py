"""Write the report of a run: `python -m trainer.report --run runs/<name>`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.records.folder import RunFolder, refuse_no_run
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.report", description="Write a run's report.html anew.")
    parser.add_argument("--run", type=Path, required=True, help="a run's folder")
    run = parser.parse_args().run
    refuse_no_run(RunFolder(run))  # before torch is loaded
    log_to_console()
    from trainer.report.report import log, write_report

    log.info("open %s", write_report(RunFolder(run)))


if __name__ == "__main__":
    run_program(main)
