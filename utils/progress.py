"""Progress of long steps: on a terminal a bar with the time left, elsewhere a plain line every 15 seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

from utils.processes import process_ranks

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")
LINE_EVERY_S = 15.0
"""Seconds between two plain lines when the output is not a terminal."""
ESTIMATE_AFTER = 3
"""Items after which the time left is estimated; fewer say too little."""


def track(items: Iterable[Item], label: str, total: int | None = None, *, done: int = 0) -> Iterator[Item]:
    """Yield `items`; show how many of `total` are done and how long the rest will take.

    `done` of `total` were finished before this call.
    """
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    meter = Meter(label, total, done=done)
    try:
        for item in items:
            yield item
            meter.advance()
    finally:
        meter.close()


class Meter:
    """A count shown on stderr: call `advance` after each item and `close` at the end. A resumed count starts at `done`.

    Its time counts from `started_s` (of `time.monotonic`), or from now. A `total` of 0 is not known yet; `expect` sets
    it later. If a run has several processes, only the main one shows it.
    """

    def __init__(self, label: str, total: int = 0, *, done: int = 0, started_s: float | None = None) -> None:
        self.label = label
        self.last_line_s = time.monotonic()
        self.started_s = self.last_line_s if started_s is None else started_s
        self.silent = not process_ranks().is_main
        self.bar: Progress | None = _bar() if sys.stderr.isatty() and not self.silent else None
        if self.bar is not None:
            self.task = self.bar.add_task(label, note="", left="")
            self.bar.start()
        self.expect(total, done=done)

    def expect(self, total: int, *, done: int = 0) -> None:
        """Set how many items there are, and how many of them were finished before the next one."""
        self.total, self.done, self.done_before = total, done, done
        self.first_done_s: float | None = None
        if self.bar is not None:
            self.bar.update(self.task, total=total or None, completed=done)

    def advance(self, note: str = "") -> None:
        """Count one more item; `note`, such as a loss, is shown beside the bar."""
        self.done += 1
        if self.first_done_s is None:
            self.first_done_s = time.monotonic()
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, note=note, left=self._left())
        elif time.monotonic() - self.last_line_s >= LINE_EVERY_S and self.done < self.total:
            self.last_line_s = time.monotonic()
            words = ", ".join(filter(None, (f"{self.label} {self.done}/{self.total}", self._left())))
            self._write(f"{words}  {note}".rstrip())

    def close(self) -> None:
        """Remove the bar. Without one, write how long it all took, if that was 15 seconds or more."""
        if self.bar is not None:
            self.bar.stop()
            return
        elapsed_s = time.monotonic() - self.started_s
        if self.done and elapsed_s >= LINE_EVERY_S:
            self._write(f"{self.label} {self.done}/{self.total or self.done} in {_clock(elapsed_s)}")

    def _write(self, line: str) -> None:
        if not self.silent:
            sys.stderr.write(f"{line}\n")

    def _left(self) -> str:
        """Return the time left in words; empty before `ESTIMATE_AFTER` items, and if the total is not known.

        It follows from the items after the first one, whose time includes that of starting.
        """
        timed = self.done - self.done_before - 1
        if timed + 1 < ESTIMATE_AFTER or self.first_done_s is None or not self.total:
            return ""
        left_s = (time.monotonic() - self.first_done_s) / timed * (self.total - self.done)
        return f"{_clock(left_s)} left"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}  {task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
