"""A channel for the tests of the delivery: it records events, and fails as a test says."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.channel import Channel, QueuedEvent, RunFacts
from utils.events import EpochEnded, Event, ImageScored, RunFinished, RunStarted, StepEnded


@dataclass
class Diary(Channel):
    """A channel that accepts all events, of which starts and ends must arrive; `failures` are raised one by one."""

    queued: list[QueuedEvent] = field(default_factory=list)
    failures: deque[Exception] = field(default_factory=deque)
    always: Exception | None = None
    refresh_every_s: float | None = None
    beats: int = 0
    closed: bool = False
    tries: int = 0
    gate: threading.Event | None = None
    """The delivery waits until it is set."""

    def accepts(self, event: Event) -> bool:
        return True

    def must_arrive(self, event: Event) -> bool:
        return not isinstance(event, (StepEnded, ImageScored, EpochEnded))

    def deliver(self, queued: QueuedEvent) -> None:
        self.tries += 1
        if self.gate is not None:
            self.gate.wait(20)
        failure = self.failures.popleft() if self.failures else self.always
        if failure is not None:
            raise failure
        self.queued.append(queued)

    def refresh(self) -> None:
        self.beats += 1

    def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[str]:
        return [queued.id for queued in self.queued]


def facts(folder: Path, **changes: Any) -> RunFacts:
    """The facts of a run in this folder, and what is different about it."""
    known = RunFacts(
        run_id="abc123",
        title="mine",
        name="mine",
        task="hand_bone",
        fold=0,
        folder=folder,
        group=None,
        command="python train.py --config configs/mine.yaml --resume",
        host="v100-1",
        user="kim",
        commit="0123456789abcdef",
        dirty=True,
        config={"model": {"name": "unet"}},
    )
    return replace(known, **changes)


def started(folder: Path = Path("runs/mine"), epochs: int = 3) -> RunStarted:
    return RunStarted("mine", folder, epochs, 0, 8, 4, "cpu, 1 thread", "fp32")


def epoch(number: int, *, score: float | None = 0.5, best: bool = False, epochs: int = 3) -> EpochEnded:
    return EpochEnded(
        number, epochs, 2.0, 0.3, {"bce": 0.1}, {"all": 1e-3}, 0.01, 0.4, score, {"Lunate": 0.5}, score, best
    )


def finished(folder: Path = Path("runs/mine")) -> RunFinished:
    return RunFinished("mine", folder, 3, 0.5, 1, 6.0, False)
