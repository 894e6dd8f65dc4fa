"""Standard streams that never end a program: its work goes on if nobody reads what it prints.

A reader such as `head` closes a pipe early, a queue starts programs with closed streams, a terminal is closed, a disk
is full. What is written after that is discarded.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)
"""The reader of a pipe has ended, the terminal is gone, the stream was closed at the start."""


class _LastingFile(io.FileIO):
    """A file that discards what cannot be written, and keeps the first fault."""

    fault: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.fault is None:
            try:
                return super().write(data)
            except BlockingIOError:
                raise
            except OSError as error:
                self.fault = error
        return memoryview(data).nbytes


def outlast_readers() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams of which a write never fails.

    A character that the terminal's encoding lacks is shown as `?`, or on stderr as its code.

    Streams that were closed at the start lead to /dev/null: otherwise the next file that is opened would get their
    number, and messages would be written into it.
    """
    _open_closed_streams()
    for name, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, _lasting(getattr(sys, name), number))


def fault_of_stdout() -> OSError | None:
    """Flush stdout; return the fault that made its text incomplete although somebody wanted it, such as a full disk."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    fault = getattr(raw, "fault", None)
    return fault if fault is not None and fault.errno not in NOBODY_READS else None


@contextmanager
def stdout_discarded() -> Iterator[None]:
    """Discard what libraries written in C++ print on stdout in this block; faults that they raise are not hidden."""
    sys.stdout.flush()
    kept, discarded = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(discarded, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(discarded)


def _open_closed_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The system gives the lowest free number, which is this one.


def _lasting(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream to the same place, with the same encoding and buffering."""
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    file = io.BufferedWriter(_LastingFile(number, "w", closefd=False))
    return io.TextIOWrapper(
        file,
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="replace" if number == 1 else "backslashreplace",
        line_buffering=number == 2 or bool(getattr(stream, "line_buffering", False)),
        write_through=bool(getattr(stream, "write_through", False)),
    )
