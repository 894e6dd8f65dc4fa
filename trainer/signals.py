"""Asking a run to stop: Ctrl-C, SIGTERM and SIGUSR1 let the current step finish and the state be saved."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Within this block the first signal is only noted, and the yielded function says whether it came.

    A second Ctrl-C interrupts at once. Outside the main thread signals cannot be caught; nothing is changed then.
    """
    asked = threading.Event()

    def note(number: int, _: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        log.info("%s: finishing this step and saving; Ctrl-C again stops at once", signal.Signals(number).name)

    with handling(note):
        yield asked.is_set


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Within this block every signal that asks a run to stop raises `KeyboardInterrupt`, but where a run notes it."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handling(interrupt):
        yield


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handler` have the signals that ask to stop; outside the main thread they cannot be caught."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
