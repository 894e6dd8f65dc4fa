"""Logging set-up for programs: short lines on the console, dated lines in the run's log file.

Modules take `logging.getLogger(__name__)` and never set anything up themselves.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from utils.redact import redact

FILE_ONLY = {"file_only": True}
"""For `extra=` of a message that the console shows in another way."""


def log_to_console(*, quiet: bool = False) -> None:
    """Show messages of level INFO and above on stderr; with `quiet` (other ranks) only errors."""
    handler = _ConsoleHandler()
    handler.setFormatter(_Redacting("%(message)s"))
    handler.setLevel(logging.ERROR if quiet else logging.INFO)
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    _root().handlers = [handler]
    _root().setLevel(logging.INFO)
    for chatty in ("httpx", "httpx2", "huggingface_hub", "timm", "accelerate", "PIL", "matplotlib", "numba"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def log_to_file(path: Path) -> logging.Handler:
    """Also append messages to `path`, each with its date; returns the handler so that a run can close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _root().addHandler(handler)
    _root().setLevel(logging.INFO)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach and close what `log_to_file` returned."""
    _root().removeHandler(handler)
    with suppress(OSError):  # what a full disk did not take has been told of
        handler.close()


class _Redacting(logging.Formatter):
    """Leaves secrets out of messages and of tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _ConsoleHandler(logging.Handler):
    """Writes to what is stderr at the moment: while a progress bar is drawn, that puts lines above it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # as every handler of the standard library: a message must not end the program
            self.handleError(record)


class _FileHandler(logging.FileHandler):
    """A log file whose disk may fill up: that is told once on stderr and ends nothing."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.told:
            self.told = True
            sys.stderr.write(f"{self.baseFilename}: the log could not be written ({sys.exc_info()[1]}).\n")


def _root() -> logging.Logger:
    return logging.getLogger()
