"""The answer to a request for tokens, kept on disk from the moment it is there until its tokens have their place.

What a killed process leaves in the file is taken over by the next one.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from services.env_file import PRIVATE
from utils.errors import UserError

RESERVED = 1 << 14
"""Bytes kept for an answer before it is asked for: a disk that is full then must not cost the token."""
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Renewal:
    """The file of one `.env`: a line with the time of the question, then the answer as it came. Only for who holds that
    `.env`'s lock."""

    def __init__(self, env_file: Path) -> None:
        self.path = env_file.with_name(f"{env_file.name}.renewal")

    @contextmanager
    def prepared(self, asked_s: float) -> Iterator[Callable[[bytes], object]]:
        """Where the answer goes, piece by piece, with room for all of it. Raises `UserError` where there is none."""
        descriptor = self._opened()
        try:
            os.write(descriptor, f"{asked_s}\n".encode())
            yield partial(os.write, descriptor)
        except BaseException:
            self.forget()  # there was no answer
            raise
        else:
            with suppress(OSError):  # a precaution only: the `.env` comes next
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def left(self) -> tuple[float, bytes] | None:
        """When a killed process asked, and what it was answered; None where nobody was killed, or before any answer."""
        try:
            asked_s, _, body = self.path.read_bytes().rstrip(b"\0").partition(b"\n")
            return (float(asked_s), body) if body else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror}). Mend or remove it.") from error
        except ValueError:
            return None

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.path, flags, PRIVATE)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}), so no token was asked for. Mend the folder."
            ) from error
        try:
            os.posix_fallocate(descriptor, 0, RESERVED)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                os.close(descriptor)
                raise UserError(f"{self.path}: the disk is full, so no token was asked for. Free space.") from error
            # This file system cannot reserve. The answer is a few hundred bytes.
        return descriptor


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal wait: what they would cut off cannot be asked for again.

    They reach the main thread alone; in any other there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    heeded = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heeded:
        signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
        for first in waiting[:1]:
            signal.raise_signal(first)
