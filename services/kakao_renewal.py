"""The answer to a request for tokens, kept on disk from the moment it is there until its tokens have their place.

What a killed process leaves in the file is taken over by the next one.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.env_file import PRIVATE
from services.kakao_http import Reply
from utils.errors import UserError

RESERVED = 1 << 14
"""Bytes kept for an answer before it is asked for: a disk that is full then must not cost the token."""
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Renewal:
    """The file of one `.env`. Only for who holds that file's lock."""

    def __init__(self, env_file: Path) -> None:
        self.path = env_file.with_name(f"{env_file.name}.renewal")
        self.descriptor = -1
        self.is_kept = False

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Within this, `keep` cannot fail for want of a place. Raises `UserError` where there is none."""
        self.descriptor, self.is_kept = self._opened(), False
        try:
            yield
        finally:
            os.close(self.descriptor)
            if not self.is_kept:
                self.forget()

    def keep(self, asked_s: float, reply: Reply) -> None:
        """Put an answer and the time of its question on disk."""
        self.is_kept = True
        body = reply.body.decode("utf-8", "replace")
        line = {"asked_s": asked_s, "status": reply.status, "body": body, "retry_after_s": reply.retry_after_s}
        os.write(self.descriptor, json.dumps(line).encode())
        os.fsync(self.descriptor)

    def answer(self) -> tuple[float, Reply] | None:
        """What lies there; None where nothing does, or none that was written to its end."""
        try:
            found = json.loads(self.path.read_bytes().rstrip(b"\0"))
            reply = Reply(int(found["status"]), str(found["body"]).encode(), found["retry_after_s"])
            return float(found["asked_s"]), reply
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror}). Mend or remove it.") from error
        except (ValueError, KeyError, TypeError):
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
