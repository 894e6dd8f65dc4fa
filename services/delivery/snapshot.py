"""The state of a run as one value, updated by each event: what a message, a memo and a row of the board show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from services.channel import QueuedEvent
from services.delivery.codec import made
from utils.events import (
    End,
    EpochEnded,
    Event,
    Fault,
    FoldsJoined,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StartScored,
    StepEnded,
)
from utils.rounds import Rounds, done_after

State = Literal["starting", "training", "scoring", "done", "stopped_early", "interrupted", "failed", "lost"]


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment. Epochs count from 1, times are Unix seconds; None: not known.

    Slack saves its fields by name in `services.json`, so a new name needs a reader for the old one.
    """

    state: State = "starting"
    epoch: int = 0
    """The epoch that is being trained or scored, or was the last one."""
    epochs: int = 0
    rounds: Rounds | None = None
    """Of a training that is counted in optimizer steps: the rounds that are its epochs."""
    steps_done: int = 0
    """Optimizer steps that are done, if they are counted."""
    fraction: float = 0.0
    """The share of the training of all epochs that is done, 0..1."""
    loss: float | None = None
    score: float | None = None
    best: float | None = None
    """The score of the epoch whose weights are kept: the best, by the loss if that decides."""
    best_epoch: int | None = None
    learning_rate: float | None = None
    """The largest one among the optimizer's groups."""
    data_wait_share: float | None = None
    device: str = ""
    precision: str = ""
    train_images: int = 0
    valid_images: int = 0
    started_s: float | None = None
    told_s: float | None = None
    """When the newest event happened, by the clock of its machine: to be shown, never to be compared."""
    seq: int = 0
    """The number of the newest event."""
    seconds_per_epoch: float | None = None
    seconds: float | None = None
    """How long the run took; set when it has finished."""
    score_per_class: Mapping[str, float] = field(default_factory=dict)
    """Of the best epoch."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Measurements of the device in the last epoch, such as `memory_peak_mib`."""
    reason: str = ""
    fault: Fault | None = None
    signal: str | None = None
    command: str | None = None
    """The command that continues the run, if it can be continued."""
    report: Path | None = None
    folds: int = 0
    spread: float | None = None

    @property
    def done(self) -> int:
        """How far the run is in the unit that people count in: its epoch, or its optimizer steps."""
        return self.epoch if self.rounds is None else self.steps_done

    @property
    def total(self) -> int:
        """The length of the run in this unit; 0 if it is not known."""
        return self.epochs if self.rounds is None else self.rounds.steps

    @property
    def best_at(self) -> int | None:
        """When the best score was reached, in this unit."""
        return None if self.best_epoch is None else done_after(self.best_epoch - 1, self.rounds)

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until the end of training, from the duration of the last epoch."""
        if self.seconds_per_epoch is None or self.state not in ("training", "scoring"):
            return None
        epochs = self.epochs if self.rounds is None else self.rounds.steps / self.rounds.every
        return (1 - self.fraction) * epochs * self.seconds_per_epoch

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "stopped_early", "interrupted", "failed", "lost")


def snapshot_after(now: Snapshot, queued: QueuedEvent) -> Snapshot:
    """The state of the run after one more event."""
    event = queued.event
    now = replace(now, told_s=queued.at_s, seq=queued.seq)
    if isinstance(event, RunStarted):
        return _started(now, event)
    if isinstance(event, StepEnded):
        loss = now.loss if event.loss is None else event.loss
        return replace(_within(now, event.epoch, event.step / event.steps), state="training", loss=loss)
    if isinstance(event, ImageScored):
        return replace(now, state="scoring", epoch=max(event.epoch + 1, 1))
    if isinstance(event, StartScored):
        return replace(now, state="training", score=event.score)
    if isinstance(event, EpochEnded):
        return _epoch_ended(now, event)
    return _over(now, event)


def _with_fields_of(event: Event, now: Snapshot, **others: Any) -> Snapshot:
    """The state with the values of all fields of an event that have the same name and meaning, and with others."""
    names = {each.name for each in fields(Snapshot)} & {each.name for each in fields(event)}
    return replace(now, **{**{name: getattr(event, name) for name in names}, **others})


def _started(now: Snapshot, event: RunStarted) -> Snapshot:
    rounds, first = event.rounds, event.first_epoch
    known = Snapshot(best=now.best, best_epoch=now.best_epoch, score_per_class=now.score_per_class)
    return _with_fields_of(
        event,
        known,
        state="training",
        epoch=min(first + 1, event.epochs),
        steps_done=0 if rounds is None else rounds.end(first - 1),
        fraction=done_after(first - 1, rounds) / done_after(event.epochs - 1, rounds),
        started_s=now.told_s,
        told_s=now.told_s,
        seq=now.seq,
    )


def _within(now: Snapshot, epoch: int, part: float) -> Snapshot:
    if now.rounds is not None:
        steps = now.rounds.first_step(epoch) + int(part * now.rounds.length(epoch))
        return replace(now, epoch=epoch + 1, fraction=min(steps / now.rounds.steps, 1.0), steps_done=steps)
    fraction = (epoch + part) / now.epochs if now.epochs else 0.0
    return replace(now, epoch=epoch + 1, fraction=min(fraction, 1.0))


def _epoch_ended(now: Snapshot, event: EpochEnded) -> Snapshot:
    now = replace(
        _within(replace(now, epochs=event.epochs, rounds=event.rounds), event.epoch, 1.0),
        state="training",
        loss=event.train_loss,
        learning_rate=max(event.learning_rates.values(), default=None),
        data_wait_share=event.data_wait_share,
        seconds_per_epoch=event.seconds,
        figures=event.device,
    )
    if event.score is None:
        return now
    now = replace(now, score=event.score)
    if event.is_best:
        return replace(now, best=event.score, best_epoch=event.epoch + 1, score_per_class=event.score_per_class)
    # The event knows the best epoch, also if the event of that epoch never came here.
    if event.best_score is not None and event.best_epoch is not None:
        return _with_best(now, event.best_score, event.best_epoch + 1)
    return replace(now, best=event.best if now.best is None else now.best)


def _with_best(now: Snapshot, score: float, epoch: int) -> Snapshot:
    """The state with this best score and its epoch; scores per class of another epoch do not belong to it."""
    scores = now.score_per_class if epoch == now.best_epoch else {}
    return replace(now, best=score, best_epoch=epoch, score_per_class=scores)


def _over(now: Snapshot, event: End | ReportWritten | FoldsJoined) -> Snapshot:
    if isinstance(event, RunFinished):
        return replace(
            _with_best(now, event.score, event.best_epoch + 1),
            state="stopped_early" if event.stopped_early else "done",
            epoch=event.epochs_done,
            rounds=event.rounds,
            steps_done=0 if event.rounds is None else event.rounds.end(event.epochs_done - 1),
            fraction=1.0,
            seconds=event.seconds,
        )
    if isinstance(event, RunInterrupted):
        return _with_fields_of(event, now, state="interrupted", epoch=event.epoch + 1)
    if isinstance(event, RunFailed):
        return _with_fields_of(event, now, state="lost" if event.fault == "lost" else "failed")
    if isinstance(event, ReportWritten):
        return replace(now, report=event.report, score_per_class=event.score_per_class or now.score_per_class)
    return _with_fields_of(event, now, state="done", fraction=1.0, best=event.mean)


def snapshot_as_dict(now: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON values."""
    return {**asdict(now), "report": str(now.report) if now.report else None}


def snapshot_from(values: Any) -> Snapshot:
    """The snapshot of JSON values; an empty one if they are missing or wrong."""
    try:
        snapshot: Snapshot = made(Snapshot, values)
    except ValueError:
        return Snapshot()
    return snapshot
