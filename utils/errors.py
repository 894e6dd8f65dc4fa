"""The one kind of error that a user can mend, and how a program ends.

Exit codes: 0 done, 2 the user can mend it, 130 interrupted and saved, 1 our bug (with a traceback).
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from utils.redact import redact


class UserError(Exception):
    """A fault that the user can mend: one sentence that names the file or key, what was expected and the way out."""


class Interrupted(Exception):
    """A person or a queue stopped the run; its state is saved after `batches_done` batches of `epoch` (from 0)."""

    def __init__(self, epoch: int, batches_done: int) -> None:
        super().__init__(f"stopped in epoch {epoch + 1} after {batches_done} batches")
        self.epoch, self.batches_done = epoch, batches_done


class AlreadyTold(UserError):
    """What another process of the same run has told; this one ends as silently, with the same exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def exit_code_of(main: Callable[[], int | None]) -> int:
    """Run a program; a `UserError` becomes its sentence on stderr and exit code 2, Ctrl-C and SIGTERM become 130."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return main() or 0
    except AlreadyTold as error:
        return error.code
    except UserError as error:
        code, told = 2, str(error)
    except KeyboardInterrupt:
        code, told = 130, "Interrupted."
    except Exception as error:
        code, told = 1, traceback.format_exc().rstrip()
        if isinstance(error, PermissionError) and error.filename is not None:
            code, told = 2, f"{error.filename}: permission denied. Change its permissions, or name another place."
    # Written only now: with the error went the frames that it held, and with them a progress bar that was still drawn
    # and would have wiped the sentence away.
    sys.stderr.write(f"{redact(told)}\n")
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM unwind as Ctrl-C does, so that half-written files are cleared away."""
    raise KeyboardInterrupt
