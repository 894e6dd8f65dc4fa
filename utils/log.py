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
"""Pass as `extra=` to log a message to the file alone, because the console shows it in another way."""

CHATTY = (
    *("httpx", "httpx2", "huggingface_hub", "timm", "accelerate", "PIL", "matplotlib", "numba"),
    *("tensorboard", "wandb"),
)
"""Loggers of libraries of which errors alone are shown."""


def log_to_console(*, quiet: bool = False) -> None:
    """Show messages of level INFO and above on stderr; with `quiet` (for ranks other than 0) only errors."""
    handler = _ConsoleHandler()
    handler.setFormatter(_Redacting("%(message)s"))
    handler.setLevel(logging.ERROR if quiet else logging.INFO)
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    _root().handlers = [handler]
    _root().setLevel(logging.INFO)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # Torch sets this itself at the end of its import, which may be interrupted.
    logging.getLogger("torch").setLevel(logging.WARNING)


def log_to_file(path: Path) -> logging.Handler:
    """Also append messages to `path`, each with its date; return the handler, which `close_log` takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _root().addHandler(handler)
    _root().setLevel(logging.INFO)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach and close a handler that `log_to_file` returned."""
    _root().removeHandler(handler)
    with suppress(OSError):  # a full disk has been reported already
        handler.close()


class _Redacting(logging.Formatter):
    """A formatter that replaces secrets in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _ConsoleHandler(logging.Handler):
    """A handler that looks up `sys.stderr` for each message, so that lines appear above a progress bar being drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # like every handler of the standard library: a message must not end the program
            self.handleError(record)


class _FileHandler(logging.FileHandler):
    """A log file handler that reports a full disk once on stderr and lets the program go on."""

    reported = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.reported:
            self.reported = True
            sys.stderr.write(f"{self.baseFilename}: the log could not be written ({sys.exc_info()[1]}).\n")


def _root() -> logging.Logger:
    return logging.getLogger()
