"""Signals to stop that reach a whole process group: Ctrl-C, and those of batch systems.

The main process handles them; its worker processes ignore them, since it still needs them to finish what it does. Only
the main process itself may end a worker by SIGTERM, as libraries do.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold signals back while workers are started, which inherit that until they call `ignore_signals`.

    A worker that dies of a signal before it ignores it would end the main process with an error; an interrupt between
    the start of a worker and the note of it would leave the worker behind. The main process gets the signal afterwards.
    """
    came: list[signal.Signals] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number))

    in_main = threading.current_thread() is threading.main_thread()
    # Another thread may receive the signal although this one blocks it, and the handler is called here all the same.
    handlers = {number: signal.signal(number, note) for number in STOPPING if in_main}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def ignore_signals(worker: int = 0) -> None:
    """Leave signals to stop to the main process; torch's loaders give the number of the worker."""
    own = [number for number in STOPPING if number != signal.SIGTERM]
    for number in own:
        signal.signal(number, signal.SIG_IGN)
    # SIGTERM is blocked in all threads, and one thread reads it to see who sent it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with suppress(RuntimeError):  # no thread more is allowed
        threading.Thread(target=_end_if_parent_asks, name="signals", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, own)


def _end_if_parent_asks() -> None:
    """End this process when its parent sends SIGTERM.

    `multiprocessing` ends its last workers so before it waits for them, and would wait for ever otherwise.
    """
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
