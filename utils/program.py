"""Run a program from its main function to its exit code.

Exit codes: 0 done, 2 the user can fix it (one sentence on stderr says what), 130 interrupted and saved, 1 a bug of ours
(with a traceback). A main function returns its own code, or None for 0.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from utils.errors import AlreadyReported, UserError
from utils.files import expand
from utils.log import log_to_console
from utils.redact import redact
from utils.system.gpu import let_segments_grow
from utils.system.malloc import keep_freed_memory
from utils.system.streams import fault_of_stdout, outlast_readers

SHOWN = 60
"""Characters that a sentence shows of a name that is too long."""


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` and exit with its code. Every program ends with `if __name__ == "__main__": run_program(main)`.

    A program does its work to the end if nobody reads what it prints: `| head -1`, or `>&-`.
    """
    outlast_readers()
    try:
        code: object = exit_code_of(lambda: main_on_expanded_arguments(main))
    except SystemExit as end:  # argparse has shown its help, or what is wrong with the arguments
        code = end.code
    end_quietly_on_signals()
    # Python ends with SIGINT's code instead if an interrupt came while it executed a text, until it executes another.
    exec("")
    fault = fault_of_stdout()
    if fault is not None and not code:
        sys.stderr.write(f"stdout: could not be written ({fault.strerror}); all else is done. Name another place.\n")
        code = 2
    sys.exit(code)  # type: ignore[arg-type]


def end_quietly_on_signals() -> None:
    """Let a signal to stop end this process without a traceback: its work is done, and libraries are cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) not in (signal.SIG_IGN, signal.SIG_DFL):
            signal.signal(number, signal.SIG_DFL)


def main_on_expanded_arguments(main: Callable[[], int | None]) -> int | None:
    """Run `main` with `~` and `$HOME` expanded at the beginning of arguments, and after `--option=`.

    A shell does that for most, and not for those that a notebook, a service or quotes pass on.
    """
    for number, argument in enumerate(sys.argv[1:], start=1):
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        if value.startswith(("~", "$")):
            sys.argv[number] = option + equals + expand(value)
    return main()


def start_computing(*, quiet: bool = False) -> None:
    """Show log messages on the console (with `quiet` only errors) and keep freed memory for the next image.

    Programs that compute call it after they have read their arguments, before they import torch.
    """
    log_to_console(quiet=quiet)
    keep_freed_memory()
    let_segments_grow()


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import what a program needs without what takes time and finds nothing.

    The garbage collector would go through all objects again and again while libraries make theirs, which stay; and
    pydantic would look for plugins in every installed package. It saves 0.05 s with ONNX Runtime.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def exit_code_of(main: Callable[[], int | None]) -> int:
    """Run `main` and return its exit code. A `UserError` is written to stderr as one sentence, without a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return main() or 0
    except AlreadyReported as error:
        return error.code
    except UserError as error:
        code, message = 2, str(error)
    except KeyboardInterrupt:
        code, message = 130, "Interrupted."
    except Exception as error:
        about_file = sentence_about_file(error)
        code, message = (1, traceback.format_exc().rstrip()) if about_file is None else (2, about_file)
    # Write only here: leaving the `except` block has released the error and the frames it held. One of them may have
    # held a progress bar, which erases the line below it when it stops.
    sys.stderr.write(f"{redact(message)}\n")
    return code


def sentence_about_file(error: Exception) -> str | None:
    """Say what the user can do about a file that cannot be used; None for any other error."""
    if not isinstance(error, OSError) or error.filename is None:
        return None
    if isinstance(error, PermissionError):
        return f"{error.filename}: permission denied. Change its permissions, or name another place."
    if error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:SHOWN]}…: is longer than a file's name can be. Give a shorter one."
    return None


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise on SIGTERM what Ctrl-C raises, so that half-written files are deleted and results are shown.

    Only once: `timeout` and some queues signal the program and then its group, and the second signal must not end the
    work that the first has caused.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
