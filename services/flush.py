"""Send what earlier runs could not: `python -m services.flush [RUN …]`, folders of runs or folders that hold such.

Without a folder it looks under `runs/`. Whatever has arrived is not sent again. A run that is going on delivers for
itself and is passed over.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.delivery.delivery import delivering_again
from services.delivery.outbox import FILE
from utils.errors import UserError
from utils.lock import Busy
from utils.log import log_to_console
from utils.program import run_program

log = logging.getLogger(__name__)

DEADLINE_S = 120.0
"""For one run."""
DEPTHS = ("", "*/", "*/*/")
"""Where outboxes lie: in the folder, in the runs in it, in their folds."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.flush", description="Send what earlier runs could not.")
    parser.add_argument("runs", nargs="*", type=Path, default=[Path("runs")], metavar="RUN", help="folders of runs")
    log_to_console()
    return flush(parser.parse_args().runs)


def flush(folders: Sequence[Path]) -> int:
    """Deliver what lies in these folders; returns 0 where nothing is left, else 2. Raises `UserError` for no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder. Name a run's, or one that holds runs.")
    found = [run for folder in folders for run in left_in(folder)]
    if not found:
        log.info("nothing is left to send in %s", ", ".join(map(str, folders)))
    arrived = [flush_run(run, DEADLINE_S) for run in found]
    return 0 if all(arrived) else 2


def flush_run(folder: Path, deadline_s: float) -> bool:
    """Deliver what one run has left; whether all of it has arrived."""
    try:
        with delivering_again(folder) as delivery:
            delivery.close(deadline_s, patience_s=deadline_s)
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
    """Deliver what the runs beside this one have left, silently where that does not work yet."""
    for run in left_in(folder.parent):
        if run != folder:
            flush_run(run, DEADLINE_S)


def left_in(folder: Path) -> Iterator[Path]:
    """The runs in a folder, or that folder itself, that have left something to send."""
    for depth in DEPTHS:
        yield from (path.parent for path in sorted(folder.glob(depth + FILE)))


if __name__ == "__main__":
    run_program(main)
