"""The programs called as from a shell, but inside this process, so that a hundred faults take seconds."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from utils.program import exit_code_of

Main = Callable[[], int | None]


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: object
    told: str
    """What it wrote to stderr."""


def call(main: Main, *arguments: object) -> Ended:
    """Run a program; anything but a `UserError` and what argparse refuses comes out as it is."""
    told, handlers, on_term = io.StringIO(), logging.getLogger().handlers, signal.getsignal(signal.SIGTERM)
    argv, sys.argv = sys.argv, ["program.py", *map(str, arguments)]
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            return Ended(exit_code_of(main), told.getvalue())
    except SystemExit as end:
        return Ended(end.code, told.getvalue())
    finally:
        sys.argv, logging.getLogger().handlers = argv, handlers
        signal.signal(signal.SIGTERM, on_term)


def assert_refused(main: Main, *arguments: object, sentence: str) -> None:
    """The program ends with exit code 2 and, in one line of what it tells, this sentence (a pattern)."""
    ended = call(main, *arguments)
    assert ended.code == 2, ended.told
    assert "Traceback" not in ended.told
    assert re.search(sentence, ended.told), ended.told
