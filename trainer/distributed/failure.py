"""If one process of a run fails, end all of them, and show one error message once.

The process that fails first writes its message to the store that connects the processes. The others read it if an
exchange between them breaks off, and every second, because on GPUs an exchange with a dead process never returns.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from accelerate import Accelerator
from torch import distributed as dist

from utils.errors import AlreadyReported, Interrupted, UserError
from utils.processes import wait_for_report

Failed = TypeVar("Failed", bound=BaseException)

FAILURE_KEY = "carpus/failure"
SEEN_KEY = "carpus/heard"
LEAVE_WAIT_S = 2.0
"""How long the first process waits until the others have read the failure."""
CHECK_EVERY_S = 1.0
END_WAIT_S = 8.0
"""How long a process may take to end by itself after another one has failed."""
FAILED_CHECKS = 5
"""After so many checks without an answer, the process that holds the store has ended."""
CONNECTION_ERRORS = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL", "Broken pipe")
"""Parts of torch's messages when the process at the other end has ended."""


@dataclass(frozen=True)
class Failure:
    """How the first process to fail ended."""

    rank: int
    host: str
    sentence: str
    code: int


class FailureMonitor:
    """Shares the first failure among the processes of a run. A single process has no `store`."""

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world, self.store = rank, world, store
        self.ended = threading.Event()
        self.on_failure: Callable[[Exception], None] = lambda _: None
        """Called with the failure of another process if this one cannot end by itself."""

    def first_failure(self, error: Failed) -> Failed | UserError:
        """Return the error that this process ends with: its own if it failed first, else that of the first one.

        The first one shows its own message; but on another machine the main process shows it too.
        """
        if self.store is None or isinstance(error, (AlreadyReported, Interrupted)):  # all are interrupted together
            return error
        mine = failure_of(self.rank, error)
        try:
            kept = self.store.compare_set(FAILURE_KEY, "", json.dumps(asdict(mine)))
        except RuntimeError:  # the store ended with the process that held it
            return error
        first = Failure(**json.loads(kept))
        if self.rank and first != mine:
            self.store.add(SEEN_KEY, 1)
        if first == mine:
            return UserError(first.sentence) if is_connection_lost(error) else error
        if self.rank == 0 and first.host != mine.host:
            return UserError(first.sentence)
        return AlreadyReported(first.sentence, first.code)

    def wait_for_others(self, error: BaseException) -> None:
        """Wait until the first failure is shown, or, in the main process, until the others have read it.

        Without torchrun the main process holds the store, which ends with it.
        """
        if isinstance(error, Interrupted):
            return
        if isinstance(error, AlreadyReported):
            wait_for_report()
            return
        until_s = time.monotonic() + LEAVE_WAIT_S
        with suppress(RuntimeError):
            while self.rank == 0 and self.store.add(SEEN_KEY, 0) < self.world - 1 and time.monotonic() < until_s:
                time.sleep(CHECK_EVERY_S / 10)

    @contextmanager
    def monitoring(self) -> Iterator[None]:
        """End this process within seconds after another has failed, whatever it waits for."""
        thread = threading.Thread(target=self._monitor_store, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            thread.join()

    def _monitor_store(self) -> None:
        silent = 0
        while not self.ended.wait(CHECK_EVERY_S) and silent < FAILED_CHECKS:
            try:
                if self.store.check([FAILURE_KEY]):
                    break
                silent = 0
            except RuntimeError:
                silent += 1
        if not self.ended.wait(END_WAIT_S):
            self._end_process()

    def _end_process(self) -> None:
        """Report the failure and end the process, because its main thread hangs in an exchange."""
        error = self.first_failure(UserError(GONE))
        self.on_failure(error)
        if not isinstance(error, AlreadyReported):
            sys.stderr.write(f"{error}\n")
        os._exit(error.code if isinstance(error, AlreadyReported) else 2)


GONE = (
    "Another process of this run ended without an error message: it was killed, or its machine is gone. Its last "
    "output and the system's log there may say why; --resume with the same launcher continues from the last state."
)


def failure_of(rank: int, error: BaseException) -> Failure:
    """Describe how a process ends because of `error`."""
    sentence, code = str(error) or type(error).__name__, 2 if isinstance(error, UserError) else 1
    if is_connection_lost(error):
        sentence, code = GONE, 2
    elif isinstance(error, KeyboardInterrupt):
        sentence, code = "Interrupted.", 130
    return Failure(rank, platform.node(), sentence, code)


def is_connection_lost(error: BaseException) -> bool:
    """Whether an exchange broke off because the process at the other end has ended."""
    broken = isinstance(error, RuntimeError) and not isinstance(error, UserError)
    return broken and any(sign in str(error) for sign in CONNECTION_ERRORS)


@contextmanager
def fail_together(accelerator: Accelerator) -> Iterator[FailureMonitor]:
    """Run this block in all processes: if one fails, all end, and none leaves it before the others."""
    if accelerator.num_processes == 1:
        yield FailureMonitor()
        return
    store = dist.distributed_c10d._get_default_store()
    monitor = FailureMonitor(accelerator.process_index, accelerator.num_processes, store)
    with monitor.monitoring():
        try:
            yield monitor
            accelerator.wait_for_everyone()
        except BaseException as error:
            first = monitor.first_failure(error)
            monitor.wait_for_others(first)
            if first is error:
                raise
            raise first from error
