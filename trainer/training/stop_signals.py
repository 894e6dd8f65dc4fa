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


class StopSignal:
    """The name of the signal that asked the run to stop; None if none has come."""

    name: str | None = None

    def has_come(self) -> bool:
        """Return whether a signal has come."""
        return self.name is not None


@contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """Record the first signal within this block, so that the run can stop after its step.

    A second Ctrl-C interrupts at once. Outside the main thread signals cannot be caught; nothing is changed then.
    """
    asked = StopSignal()

    def note(number: int, _: FrameType | None) -> None:
        if asked.has_come() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.name = signal.Signals(number).name
        log.info("%s: finishing this step and saving; Ctrl-C again stops at once", asked.name)

    with handling(note):
        yield asked


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for every signal to stop within this block, except within `stop_on_signals`."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handling(interrupt):
        yield


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals to stop with `handler`; outside the main thread they cannot be caught, and nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
