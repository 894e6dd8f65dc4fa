"""One process at a time: locks that end with their process, however that ends."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError


class Busy(UserError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path`, which is made where it is missing and stays.

    Raises `Busy` where another process holds it, `busy` followed by the holder's process and machine, and `UserError`
    where the folder cannot be written.
    """
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
