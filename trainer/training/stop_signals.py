"""Asking a run to stop: Ctrl-C, SIGTERM and SIGUSR1 let the current step finish and the state be saved."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from utils.system.signals import STOPPING

log = logging.getLogger(__name__)


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
    """Raise `KeyboardInterrupt` for a signal to stop within this block, except within `stop_on_signals`.

    After the first one only Ctrl-C raises it again: queues signal a program and then its whole group.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in STOPPING[1:]:
            signal.signal(each, signal.SIG_IGN)
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
