"""One process of a run that fails ends all of them, with one sentence told once, and nobody waits for it.

The process that fails first leaves its sentence in the store through which the processes found each other. The others
look there when an exchange with it breaks off, and every second besides: on GPUs an exchange with a dead process hangs.
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

KEY = "carpus/failure"
HEARD = "carpus/heard"
FAREWELL_S = 2.0
"""How long the first process stays for the others to hear."""
LOOK_EVERY_S = 1.0
GRACE_S = 8.0
"""How long a process that hears of a failure may take to end by itself."""
SILENT_LOOKS = 5
"""So many looks without an answer mean that the process which keeps the store is gone."""
CUT_OFF = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL", "Broken pipe")
"""What torch says when the process at the other end is gone."""


@dataclass(frozen=True)
class Failure:
    """How the first process to fail ended."""

    rank: int
    host: str
    sentence: str
    code: int


class Alarm:
    """Tells the other processes that this one has failed, and hears of theirs. Alone it has no `store`."""

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world, self.store = rank, world, store
        self.ended = threading.Event()
        self.on_failure: Callable[[Exception], None] = lambda _: None
        """What this process tells its listeners where another one fails and this one cannot end by itself."""

    def first_failure(self, error: Failed) -> Failed | UserError:
        """`error` where this process is the first to fail, else the first one's, told by that at its own terminal."""
        if self.store is None or isinstance(error, (AlreadyReported, Interrupted)):  # all are interrupted together
            return error
        mine = failure_of(self.rank, error)
        try:
            kept = self.store.compare_set(KEY, "", json.dumps(asdict(mine)))
        except RuntimeError:  # the store went with the process that kept it
            return error
        first = Failure(**json.loads(kept))
        if self.rank and first != mine:
            self.store.add(HEARD, 1)
        if first == mine:
            return UserError(first.sentence) if is_cut_off(error) else error
        if self.rank == 0 and first.host != mine.host:
            return UserError(first.sentence)
        return AlreadyReported(first.sentence, first.code)

    def part(self, error: BaseException) -> None:
        """Let the one that tells go first. It lets the others hear: without torchrun, the main one keeps the store."""
        if isinstance(error, Interrupted):
            return
        if isinstance(error, AlreadyReported):
            wait_for_report()
            return
        until_s = time.monotonic() + FAREWELL_S
        with suppress(RuntimeError):
            while self.rank == 0 and self.store.add(HEARD, 0) < self.world - 1 and time.monotonic() < until_s:
                time.sleep(LOOK_EVERY_S / 10)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """End this process within seconds after another has failed, whatever it waits for."""
        listener = threading.Thread(target=self._listen, daemon=True)
        listener.start()
        try:
            yield
        finally:
            self.ended.set()
            listener.join()

    def _listen(self) -> None:
        silent = 0
        while not self.ended.wait(LOOK_EVERY_S) and silent < SILENT_LOOKS:
            try:
                if self.store.check([KEY]):
                    break
                silent = 0
            except RuntimeError:
                silent += 1
        if not self.ended.wait(GRACE_S):
            self._give_up()

    def _give_up(self) -> None:
        """The main thread hangs in an exchange: tell for it, and end the process as it would have ended."""
        error = self.first_failure(UserError(GONE))
        self.on_failure(error)
        if not isinstance(error, AlreadyReported):
            sys.stderr.write(f"{error}\n")
        os._exit(error.code if isinstance(error, AlreadyReported) else 2)


GONE = (
    "Another process of this run ended without a word: it was killed, or its machine is gone. What it wrote last, and "
    "the system's log there, may say why; --resume with the same launcher goes on from the last saved state."
)


def failure_of(rank: int, error: BaseException) -> Failure:
    """How a process ends that `error` ends."""
    sentence, code = str(error) or type(error).__name__, 2 if isinstance(error, UserError) else 1
    if is_cut_off(error):
        sentence, code = GONE, 2
    elif isinstance(error, KeyboardInterrupt):
        sentence, code = "Interrupted.", 130
    return Failure(rank, platform.node(), sentence, code)


def is_cut_off(error: BaseException) -> bool:
    """Whether an exchange broke off because the process at the other end is gone."""
    broken = isinstance(error, RuntimeError) and not isinstance(error, UserError)
    return broken and any(sign in str(error) for sign in CUT_OFF)


@contextmanager
def fail_together(accelerator: Accelerator) -> Iterator[Alarm]:
    """Within this block a failure of one process ends all; it is left by all together."""
    if accelerator.num_processes == 1:
        yield Alarm()
        return
    store = dist.distributed_c10d._get_default_store()
    alarm = Alarm(accelerator.process_index, accelerator.num_processes, store)
    with alarm.listening():
        try:
            yield alarm
            accelerator.wait_for_everyone()
        except BaseException as error:
            first = alarm.first_failure(error)
            alarm.part(first)
            if first is error:
                raise
            raise first from error
