"""Logging set-up for programs: short lines on the console, dated lines in the run's log file.

Modules take `logging.getLogger(__name__)` and never set anything up themselves.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path


def log_to_console(*, quiet: bool = False) -> None:
    """Show messages of level INFO and above on stderr; with `quiet` (other ranks) only errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(logging.ERROR if quiet else logging.INFO)
    _root().handlers = [handler]
    _root().setLevel(logging.INFO)
    for chatty in ("httpx", "httpx2", "huggingface_hub", "timm", "accelerate", "PIL", "matplotlib", "numba"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def log_to_file(path: Path) -> logging.Handler:
    """Also append messages to `path`, each with its date; returns the handler so that a run can close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _root().addHandler(handler)
    _root().setLevel(logging.INFO)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach and close what `log_to_file` returned."""
    _root().removeHandler(handler)
    handler.close()


def _root() -> logging.Logger:
    return logging.getLogger()
