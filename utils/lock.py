"""Locks for one process at a time, which end with their process, however it ends.

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
from contextlib import ExitStack, contextmanager
from pathlib import Path

from utils.errors import UserError

LOOK_EVERY_S = 0.05
_threads: dict[Path, threading.Lock] = defaultdict(threading.Lock)
_held: dict[tuple[int, Path], object] = {}
"""The locks that this process holds, by process number (a forked child holds none) and file."""


class Busy(UserError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path`, which is made if it is missing, and stays.

    Raises `Busy` if another process holds it, with `busy` followed by the holder's process and machine, or if this
    process does, and `UserError` if the folder cannot be written.
    """
    with _once_in_this_process(path, busy):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written ({error.strerror}). Choose another folder.") from error
        try:
            if not take(descriptor):
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                raise Busy(f"{busy} ({holder}). Wait for it, stop it, or use another name.")
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _once_in_this_process(path: Path, busy: str) -> Iterator[None]:
    """Refuse a second hold of the same file, whose end would free the first: closing a file frees its record locks."""
    key, mine = (os.getpid(), path.absolute()), object()
    if _held.setdefault(key, mine) is not mine:
        raise Busy(f"{busy} (this process). Wait for it, or use another name.")
    try:
        yield
    finally:
        del _held[key]


@contextmanager
def waiting_for(path: Path, wait_s: float, busy: str) -> Iterator[None]:
    """As `locked`, once whoever holds the lock lets go: another process, or another thread of this one.

    Raises `Busy` where that takes longer than `wait_s` seconds, and `UserError` as `locked`.
    """
    until_s = time.monotonic() + wait_s
    mine = _threads[path.absolute()]
    if not mine.acquire(timeout=wait_s):
        raise Busy(f"{busy} (this process). Try again.")
    try:
        with ExitStack() as held:
            while not _entered(held, path, busy, is_last_try=time.monotonic() >= until_s):
                time.sleep(LOOK_EVERY_S)
            yield
    finally:
        mine.release()


def _entered(held: ExitStack, path: Path, busy: str, *, is_last_try: bool) -> bool:
    try:
        held.enter_context(locked(path, busy))
    except Busy:
        if is_last_try:
            raise
        return False
    return True


def take(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process holds it.

    These are POSIX record locks: forked loader workers do not inherit them, and they hold across the machines of a
    network file system. A file system that knows no locks grants every one.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
