"""The end of the time that a user allows: a measurement that goes on is cut off, what follows is left out by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

MARGIN_S = 5.0
"""Kept for the tables, and for the end of the process."""
SHORTEST_S = 1.0
"""No measurement begins with less."""


class OutOfTime(BaseException):
    """The time is over. Not an `Exception`, so that no library takes it for an error of its own."""


@dataclass(frozen=True)
class Limit:
    """The moment, on the clock of `time.monotonic`, at which measuring ends."""

    end_s: float

    @property
    def left_s(self) -> float:
        return self.end_s - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left_s < SHORTEST_S

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Raise `OutOfTime` in the block, in the main thread, when the time is over."""
        before = signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, max(self.left_s, 1e-3))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def limit_after(seconds: float) -> Limit:
    """Return the limit `seconds` after the start of this process, whose imports take some of them."""
    return Limit(time.monotonic() - process_age_s() + seconds - MARGIN_S)


def process_age_s() -> float:
    """Return the seconds since this process was started; 0 if the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return max(0.0, uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def _raise(number: int, frame: FrameType | None) -> None:
    raise OutOfTime
