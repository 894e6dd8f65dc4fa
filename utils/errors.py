"""The one kind of error that a user can mend, and how a program ends.

Exit codes: 0 done, 2 the user can mend it, 130 interrupted and saved, 1 our bug (with a traceback).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType


class UserError(Exception):
    """A fault that the user can mend: one sentence that names the file or key, what was expected and the way out."""


def exit_code_of(main: Callable[[], int | None]) -> int:
    """Run a program; a `UserError` becomes its sentence on stderr and exit code 2, Ctrl-C and SIGTERM become 130."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return main() or 0
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM unwind as Ctrl-C does, so that half-written files are cleared away."""
    raise KeyboardInterrupt
