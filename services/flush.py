"""Send what earlier runs could not: `python -m services.flush [RUN …]`, folders of runs or folders that contain them.

Without arguments it searches `runs/`. Messages that have arrived are not sent again. A run that is still training
delivers its own messages and is skipped.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.delivery.delivery import reopen_delivery
from services.delivery.outbox import FILE
from utils.errors import UserError
from utils.lock import Busy
from utils.log import log_to_console
from utils.program import run_program

log = logging.getLogger(__name__)

DEADLINE_S = 120.0
"""For one run."""
DEPTHS = ("", "*/", "*/*/")
"""Patterns of the folders that may hold an outbox: the folder itself, the runs in it, their folds."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.flush", description="Send what earlier runs could not.")
    parser.add_argument("runs", nargs="*", type=Path, default=[Path("runs")], metavar="RUN", help="folders of runs")
    log_to_console()
    return flush(parser.parse_args().runs)


def flush(folders: Sequence[Path]) -> int:
    """Deliver what these folders hold; returns 0 if nothing is left, else 2. Raises `UserError` if one is no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder. Name a run's, or one that holds runs.")
    found = [run for folder in folders for run in runs_with_outbox(folder)]
    if not found:
        log.info("nothing is left to send in %s", ", ".join(map(str, folders)))
    arrived = [flush_run(run, DEADLINE_S) for run in found]
    return 0 if all(arrived) else 2


def flush_run(folder: Path, deadline_s: float) -> bool:
    """Deliver what one run has left; returns whether nothing remains to be done now."""
    try:
        with reopen_delivery(folder) as delivery:
            delivery.close(deadline_s, run_wait_s=deadline_s)
            if left := delivery.outbox.channels:
                log.warning("%s: %s could not be reached or is not set up", folder, ", ".join(sorted(left)))
                return False
    except Busy:
        log.info("%s: this run delivers for itself at the moment", folder)
    except UserError as error:
        log.warning("%s", error)
        return False
    else:
        log.info("%s: all is sent", folder)
    return True


def flush_others(folder: Path) -> None:
    """Deliver what the other runs in the same parent folder have left."""
    for run in runs_with_outbox(folder.parent):
        if run != folder:
            flush_run(run, DEADLINE_S)


def runs_with_outbox(folder: Path) -> Iterator[Path]:
    """Folders of runs with undelivered messages: the folder itself, and runs and folds in it."""
    for depth in DEPTHS:
        yield from (path.parent for path in sorted(folder.glob(depth + FILE)))


if __name__ == "__main__":
    run_program(main)
