"""Program for a test: folds of one run, a process each, meet a folder where MLflow has never been.

Each tells of its start and first epoch; the last one is then killed as by `kill -9`, the others finish. It prints how
each process ended, and nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

from services.channel import NotDelivered, QueuedEvent
from services.mlflow import Mlflow
from services.mlflow.client import set_environment, silence_loggers
from services.mlflow.store import store_of
from services.secrets import Secrets
from tests.services.mlflow.run_of import Run, epoch

TRIES = 20


def main(runs: Path, folds: int) -> None:
    load()
    processes = [start(runs, fold, is_last=fold == folds - 1) for fold in range(folds)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    sys.stdout.write(json.dumps(codes))


def load() -> None:
    """Import all that MLflow needs once for all: that takes longer than what follows. Nothing touches the file yet."""
    set_environment(store_of(None, Path()), Secrets(Path("none"), {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("mlflow", "mlflow.store.tracking.sqlalchemy_store", "alembic.command"):
            importlib.import_module(module)
    silence_loggers()


def start(runs: Path, fold: int, *, is_last: bool) -> int:
    with warnings.catch_warnings():
        # Python 3.12 and later count the idle threads of a library, which hold nothing that a child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process:
        return process
    try:
        live(Run(runs, "cv", fold), is_last=is_last)
    except BaseException as error:
        sys.stderr.write(f"fold {fold}: {type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def live(run: Run, *, is_last: bool) -> None:
    channel = run.channel()
    for queued in (run.started(), epoch(1)):
        bring(channel, queued)
    if is_last:
        os.kill(os.getpid(), signal.SIGKILL)
    bring(channel, run.finished())


def bring(channel: Mlflow, queued: QueuedEvent) -> None:
    """Deliver as the channel's thread does: again after a failure."""
    for _ in range(TRIES):
        try:
            return channel.deliver(queued)
        except NotDelivered as later:
            time.sleep(later.retry_after_s or 0.1)
    raise TimeoutError(queued.id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
