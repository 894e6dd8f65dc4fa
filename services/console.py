"""The listener that writes to the terminal: a progress bar during an epoch, a line at its end."""

from __future__ import annotations

import logging
import time

from services.texts import counted, text
from utils.events import (
    EpochEnded,
    Event,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StartScored,
    StepEnded,
)
from utils.progress import Meter
from utils.rounds import Rounds, amount, counted_in, done_after, done_of

log = logging.getLogger(__name__)


class Console:
    """Shows steps and scored images as bars, all other events as log lines, which also go to the run's log file."""

    def __init__(self, score_label: str) -> None:
        self.score_label = score_label
        self.meter: Meter | None = None
        self.epochs = 0
        self.rounds: Rounds | None = None
        self.note = ""
        self.trained_s: float | None = None
        """When the last batch of the epoch was done, until an image of it is scored."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepEnded):
            self._step(event)
        elif isinstance(event, ImageScored):
            self._advance(self._scoring_label(event.epoch), event.images_done, event.images)
        else:
            self._say(event)

    def close(self) -> None:
        """End the current bar, if there is one."""
        if self.meter is not None:
            self.meter.close()
            self.meter = None

    def _step(self, event: StepEnded) -> None:
        if event.loss is not None:
            self.note = f"loss {event.loss:.4f}"
        self._advance(self._epoch_label(event.epoch), event.step, event.steps)
        if event.step == event.steps:
            self.trained_s = time.monotonic()

    def _epoch_label(self, epoch: int) -> str:
        beginning = "Epoch" if self.rounds is None else "To step"
        return f"{beginning} {done_of(epoch + 1, self.epochs, self.rounds)}, batch"

    def _scoring_label(self, epoch: int) -> str:
        if epoch < 0:
            return "Scoring the start, image"
        return f"Scoring {counted_in(self.rounds)} {done_of(epoch + 1, self.epochs, self.rounds)}, image"

    def _begin_epoch(self, epoch: int) -> None:
        """Show the next epoch at once: its first batch may take a minute, in which worker processes start."""
        self.note = ""
        if epoch < self.epochs:
            self.meter = Meter(self._epoch_label(epoch))

    def _advance(self, label: str, done: int, total: int) -> None:
        """Count an item; the time of an epoch counts from its beginning, that of a scoring from the last batch."""
        if self.meter is None or self.meter.label != label:
            self.close()
            self.meter = Meter(label, started_s=self.trained_s)
        self.trained_s = None
        if not self.meter.total:
            self.meter.expect(total, done=done - 1)
        self.meter.advance(self.note)
        if done == total:
            self.close()

    def _say(self, event: Event) -> None:
        self.close()
        if isinstance(event, RunStarted):
            self.epochs, self.rounds = event.epochs, event.rounds
            log.info(started_line(event))
            if not event.is_trained:
                self._begin_epoch(event.first_epoch)
        elif isinstance(event, StartScored):
            log.info(start_line(event, self.score_label))
            self._begin_epoch(0)
        elif isinstance(event, EpochEnded):
            log.info(epoch_line(event, self.score_label))
            if event.fell_from is not None:
                log.warning(fall_line(event, event.fell_from, self.score_label))
            self._begin_epoch(event.epoch + 1)
        elif isinstance(event, RunFinished):
            log.info(finished_line(event, self.score_label))
            if event.better_start is not None:
                log.warning(better_start_line(event, event.better_start, self.score_label))
        elif isinstance(event, RunInterrupted):
            log.info(interrupted_line(event))
        elif isinstance(event, ReportWritten):
            log.info("%s: open %s", event.name, event.report)
        elif isinstance(event, RunFailed) and event.command:
            log.info(failed_line(event, event.command))


def started_line(event: RunStarted) -> str:
    """Images, length, device and folder of a run that starts."""
    unit = counted_in(event.rounds)
    done, total = done_after(event.first_epoch - 1, event.rounds), done_after(event.epochs - 1, event.rounds)
    if event.is_trained:
        return f"{event.name}: nothing left to train, {done} of {total} {unit}s are done; folder {event.folder}"
    return (
        f"{event.name}: {event.train_images} images to train on, {event.valid_images} held out; "
        f"{amount(total - done, unit)} on {event.device} in {event.precision}; folder {event.folder}"
    )


def start_line(event: StartScored, score_label: str) -> str:
    """The score of the weights that training begins with."""
    return f"start  valid loss {event.valid_loss:.4f}  {score_label} {event.score:.4f}  {event.seconds:.1f} s"


def epoch_line(event: EpochEnded, score_label: str) -> str:
    """An epoch in one line."""
    total = done_after(event.epochs - 1, event.rounds)
    done = f"{done_after(event.epoch, event.rounds):>{len(str(total))}}"
    words = [f"{counted_in(event.rounds)} {done}/{total}", f"loss {event.train_loss:.4f}"]
    if event.score is not None:
        valid = f"valid loss {event.valid_loss:.4f}  {score_label} {event.score:.4f}"
        words.append(f"{valid}{' (best)' if event.is_best else ''}")
    words.append("lr " + "/".join(f"{rate:.2e}" for rate in dict.fromkeys(event.learning_rates.values())))
    words.append(f"{event.seconds:.1f} s, {event.data_wait_share:.0%} waiting for data")
    return "  ".join(words)


def fall_line(event: EpochEnded, start: float, score_label: str) -> str:
    """What it means that a score fell below that of the start, and what helps."""
    shown = {"metric": score_label, "start": f"{start:.4f}", "score": f"{event.score:.4f}"}
    at = counted("en", event.rounds, "at", done_after(event.epoch, event.rounds))
    return text("en", "fell_below_start", at=at, **shown)


def finished_line(event: RunFinished, score_label: str) -> str:
    """Why and after how long a run ended, and the score of the weights that are kept."""
    why = "stopped early, no better score" if event.stopped_early else "done"
    length = amount(done_after(event.epochs_done - 1, event.rounds), counted_in(event.rounds))
    took = f"{length}, {event.seconds / 60:.1f} min" if event.seconds >= 60 else f"{length}, {event.seconds:.0f} s"
    where = counted("en", event.rounds, "at", done_after(event.best_epoch, event.rounds))
    return f"{event.name}: {why} after {took}; best {score_label} {event.score:.4f} {where}"


def better_start_line(event: RunFinished, start: float, score_label: str) -> str:
    """That training has made the pretrained weights worse, and what helps."""
    return (
        f"{event.name}: the weights that it began with are better: {score_label} {start:.4f} at the start. Predict "
        "with those, or train anew with a lower optimizer.lr."
    )


def interrupted_line(event: RunInterrupted) -> str:
    """How far a run was that was stopped, and the command that continues it."""
    where = f"in epoch {event.epoch + 1} after {event.step} batches"
    if event.rounds is not None:
        where = f"after {event.steps_done} of {event.rounds.steps} steps"
    return f"{event.name}: stopped {where}, everything is saved. Continue with: {event.command}"


def failed_line(event: RunFailed, command: str) -> str:
    """The command that continues a failed run; the program prints the reason itself when it exits."""
    return f"{event.name}: ended by the fault below, the last state is kept. Correct it, then continue with: {command}"
