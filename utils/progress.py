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

    If a run has several processes, only the main one shows it.
    """

    def __init__(self, label: str, total: int, *, done: int = 0) -> None:
        self.label, self.total, self.done, self.done_before = label, total, done, done
        self.started_s = self.last_line_s = time.monotonic()
        self.silent = not process_ranks().is_main
        self.bar: Progress | None = _bar() if sys.stderr.isatty() and not self.silent else None
        if self.bar is not None:
            self.task = self.bar.add_task(label, total=total or None, completed=done, note="")
            self.bar.start()

    def advance(self, note: str = "") -> None:
        """Count one more item; `note`, such as a loss, is shown beside the bar."""
        self.done += 1
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, note=note)
        elif time.monotonic() - self.last_line_s >= LINE_EVERY_S and self.done < self.total:
            self.last_line_s = time.monotonic()
            self._write(f"{self.label} {self.done}/{self.total}, {_clock(self._left_s())} left  {note}".rstrip())

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

    def _left_s(self) -> float:
        elapsed_s = time.monotonic() - self.started_s
        return elapsed_s / max(1, self.done - self.done_before) * (self.total - self.done)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left  {task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
