"""Join what a run's folds scored: `python -m trainer.crossval RUN`; see `crossval.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.crossval.crossval import write_crossval
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.crossval", description="Join what a run's folds scored.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder with fold0/, fold1/, … of train.py fold=all")
    run = parser.parse_args().run
    log_to_console()
    write_crossval(run)


if __name__ == "__main__":
    run_program(main)
