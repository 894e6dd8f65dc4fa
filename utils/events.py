"""The events of a run, as frozen values. The trainer emits them; the console, the metrics file and services listen.

Events carry plain values only: no tensors and no networks, so that a listener can neither keep memory nor change a run.
In a training that is counted in optimizer steps, an epoch is one of its `rounds`; without them epochs are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from utils.rounds import Rounds


@dataclass(frozen=True)
class RunStarted:
    """Training is about to take its first step (or its next, after a resume). Epochs count from 0."""

    name: str
    folder: Path
    epochs: int
    first_epoch: int
    train_images: int
    valid_images: int
    device: str
    precision: str
    is_trained: bool = False
    """Whether nothing is left to train, because all epochs are done or training has stopped early before."""
    rounds: Rounds | None = None


@dataclass(frozen=True)
class StartScored:
    """The weights that training begins with are scored, before its first step; only if they are pretrained ones."""

    valid_loss: float
    score: float
    score_per_class: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class StepEnded:
    """One batch is done. `step` counts batches of this epoch from 1; `loss` is the epoch's mean so far, if known."""

    epoch: int
    step: int
    steps: int
    loss: float | None


@dataclass(frozen=True)
class ImageScored:
    """Validation has scored `images_done` of `images`; `epoch` is -1 before the first one."""

    epoch: int
    images_done: int
    images: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch is trained and, if it was due, scored.

    If it was not scored, `valid_loss` and `score` are None and `score_per_class` is empty. `best`, `best_score` and
    `best_epoch` are those so far.
    """

    epoch: int
    epochs: int
    seconds: float
    train_loss: float
    loss_parts: Mapping[str, float]
    learning_rates: Mapping[str, float]
    data_wait_share: float
    valid_loss: float | None = None
    score: float | None = None
    score_per_class: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None
    """The best value so far of the number that decides which weights are kept: the score, or the validation loss."""
    is_best: bool = False
    device: Mapping[str, float] = field(default_factory=dict)
    """Figures of the device by name, such as `memory_peak_mib`; none on a CPU."""
    best_score: float | None = None
    """The score of the epoch whose weights are kept, `best_epoch`; None if it is not known."""
    best_epoch: int | None = None
    rounds: Rounds | None = None
    fell_from: float | None = None
    """The score of the start (`StartScored`), if this is the first score that fell clearly below it."""


@dataclass(frozen=True)
class RunFinished:
    """Training has ended as planned, or because it stopped improving (`stopped_early`)."""

    name: str
    folder: Path
    epochs_done: int
    best: float
    best_epoch: int
    seconds: float
    stopped_early: bool
    best_score: float | None = None
    """The score of `best_epoch`, if `best` is not that score because the loss decides which weights are kept."""
    rounds: Rounds | None = None
    better_start: float | None = None
    """The score of the weights that training began with, if it is better than that of the weights that are kept."""

    @property
    def score(self) -> float:
        """The score of the epoch whose weights are kept."""
        return self.best if self.best_score is None else self.best_score


@dataclass(frozen=True)
class RunInterrupted:
    """Somebody stopped the run; its state is saved and `command` continues it."""

    name: str
    folder: Path
    epoch: int
    step: int
    command: str
    signal: str | None = None
    """The signal that asked it to stop, such as `SIGTERM`; None if it was not a signal."""
    steps_done: int = 0
    """Optimizer steps since the beginning."""
    rounds: Rounds | None = None


@dataclass(frozen=True)
class RunFailed:
    """The run ended with an error; `reason` is one sentence. `command` continues it, if that can help."""

    name: str
    folder: Path
    reason: str
    command: str | None = None
    fault: Fault = "error"
    trace: str = ""
    """The traceback, if the error is not one that the user can fix."""


@dataclass(frozen=True)
class ReportWritten:
    """The page of a finished run is there; `pictures` are files (PNG, JPEG) of its charts and worst cases by title."""

    name: str
    folder: Path
    report: Path
    score_per_class: Mapping[str, float]
    pictures: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldsJoined:
    """All folds of a run are trained and scored as one. `mean` over all images, `spread` over the folds' means."""

    name: str
    folder: Path
    folds: int
    mean: float
    spread: float | None
    report: Path
    score_per_class: Mapping[str, float] = field(default_factory=dict)


Fault = Literal["error", "memory", "nan", "lost"]
"""Why a run failed. "memory": it ran out; "nan": the loss was not finite; "lost": its process ended without a message;
"error": anything else."""

Step = StepEnded | ImageScored
"""Progress within an epoch."""
End = RunFinished | RunInterrupted | RunFailed
"""How a training ends."""
Event = RunStarted | StartScored | Step | EpochEnded | End | ReportWritten | FoldsJoined
Listener = Callable[[Event], None]
