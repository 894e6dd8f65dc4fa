"""File locks that one process holds at a time. A lock ends with its process, however the process ends.

They are POSIX record locks. The `flock` of the package filelock does not replace them: a machine that exports its disk
by NFS holds the locks of its clients as record locks, which `flock` does not see there (tests/utils/test_lock.py).
"""

from __future__ import annotations

import fcntl
import os
import platform
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from utils.errors import UserError
from utils.files import open_no_link

LOOK_EVERY_S = 0.05
WAIT = "Wait for it, or end it."
"""The usual way out if another process holds a lock."""
_threads: dict[Path, threading.Lock] = defaultdict(threading.Lock)
_held: dict[tuple[int, Path], object] = {}
"""The locks that this process holds, by process number (a forked child holds none) and file."""


class Busy(UserError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, busy: str, way_out: str = WAIT) -> Iterator[None]:
    """Hold the lock file `path` during the block. The file is made if it is missing, and is not deleted afterwards.

    Raises `Busy` if another process holds the lock (the message is `busy` with the holder's process and machine, then
    `way_out`) or if this process already does, and `UserError` if the folder cannot be written.
    """
    with _once_in_this_process(path, busy, way_out):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_no_link(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written ({error.strerror}). Choose another folder.") from error
        try:
            # The file's text names the holder, for the message of whoever is refused.
            if not try_lock(descriptor):
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                raise Busy(f"{busy} ({holder}). {way_out}")
            with suppress(OSError):  # a full disk: the lock holds without a name
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _once_in_this_process(path: Path, busy: str, way_out: str) -> Iterator[None]:
    """Raise `Busy` if this process holds the file already: closing the file again would release the first lock too."""
    key, mine = (os.getpid(), path.absolute()), object()
    if _held.setdefault(key, mine) is not mine:
        raise Busy(f"{busy} (this process). {way_out}")
    try:
        yield
    finally:
        del _held[key]


@contextmanager
def locked_within(path: Path, wait_s: float, busy: str, way_out: str = WAIT) -> Iterator[None]:
    """Wait up to `wait_s` seconds for another process or thread to release the lock, then hold it as `locked` does.

    Raises `Busy` if that takes longer, and `UserError` as `locked` does.
    """
    until_s = time.monotonic() + wait_s
    # Threads of this process wait for each other here; other processes are asked again every `LOOK_EVERY_S`.
    mine = _threads[path.absolute()]
    if not mine.acquire(timeout=wait_s):
        raise Busy(f"{busy} (this process). {way_out}")
    try:
        with ExitStack() as held:
            while not _entered(held, path, busy, way_out, is_last_try=time.monotonic() >= until_s):
                time.sleep(LOOK_EVERY_S)
            yield
    finally:
        mine.release()


def _entered(held: ExitStack, path: Path, busy: str, way_out: str, *, is_last_try: bool) -> bool:
    try:
        held.enter_context(locked(path, busy, way_out))
    except Busy:
        if is_last_try:
            raise
        return False
    return True


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process holds it.

    Forked loader workers do not inherit these POSIX record locks, and on a network file system they hold across
    machines. On a file system without locks the answer is always True.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
