"""The answer to a request for tokens, saved on disk as it arrives, until its tokens are in the `.env`.

If a process is killed meanwhile, the next one takes the tokens from the file.
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
"""Bytes reserved for an answer before the request, so that a full disk cannot lose the token."""
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Renewal:
    """The file beside one `.env`: a line with the time of the request, then the answer. The caller must hold the lock
    of the `.env`."""

    def __init__(self, env_file: Path) -> None:
        self.path = env_file.with_name(f"{env_file.name}.renewal")

    @contextmanager
    def prepared(self, asked_s: float) -> Iterator[Callable[[bytes], object]]:
        """Yield a function that writes pieces of the answer to reserved space. Raises `UserError` if there is none."""
        descriptor = self._opened()
        try:
            os.write(descriptor, f"{asked_s}\n".encode())
            yield partial(os.write, descriptor)
        except BaseException:
            self.forget()  # no answer arrived
            raise
        else:
            with suppress(OSError):  # a precaution only: the `.env` is written next
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def left(self) -> tuple[float, bytes] | None:
        """The time of a killed process's request and the answer to it; None if there is no such answer."""
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
            # This file system cannot reserve space. The answer is a few hundred bytes.
        return descriptor


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer Ctrl-C, SIGTERM and SIGHUP until the end of the block, because its request cannot be repeated.

    Signals reach the main thread alone; in any other thread this does nothing.
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
