"""The training loop, top to bottom: `fit` runs epochs; an epoch is its steps, a score, and its end.

What one step does is `trainer.training.stepper`. The engine knows neither the task nor the configuration: it is given
its parts, and emits what happens as events. Epochs count from 0 here and in events; what is shown to people counts
from 1. A training that is counted in optimizer steps runs in rounds of so many steps (`utils.rounds`), and what is
called an epoch here is then a round: only the batches of an epoch and the words for people differ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from trainer.distributed.processes import StopVote, random_states, restore_random_states
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import Score, Stopped, Validator
from trainer.training.early_stopping import EarlyStopping
from trainer.training.loader import TrainLoader
from trainer.training.meters import Reading, RunningMeans, Stopwatch, device_figures
from trainer.training.stepper import Stepper
from utils.errors import Interrupted, UserError
from utils.events import EpochEnded, Listener, StartScored, StepEnded
from utils.rounds import Rounds

READ_LOSS_EVERY_S = 5.0
"""Seconds between two readings of the running loss, each of which computes on all weights."""


class NonFiniteLoss(UserError):
    """Raised when `what` became infinite or not a number at a place, after learning from the samples `keys`."""

    def __init__(self, what: str, place: str, keys: Sequence[str]) -> None:
        super().__init__(
            f"The {what} became infinite or not a number {place}, after learning from "
            f"{', '.join(keys)}. Look at these images; if they are good, start a new run with a lower learning rate "
            "(optimizer.lr), clipped gradients (trainer.clip_norm=1) or trainer.precision=fp32. The last good state "
            "and the best weights are kept."
        )


@dataclass(frozen=True)
class TrainingPlan:
    """How many epochs to train, how often to score and to save, and which number decides what is best."""

    epochs: int
    evaluate_every: int = 1
    rounds: Rounds | None = None
    """Of a training that is counted in optimizer steps: the rounds that are its epochs."""
    save_every_steps: int | None = None
    keep_every_steps: int | None = None
    """Optimizer steps between weights that are all kept."""
    scores_start: bool = False
    """Whether the network is scored before the first step, because it begins with pretrained weights."""
    monitors_loss: bool = False
    """Whether the validation loss decides which epoch is best, instead of the score."""


@dataclass(frozen=True)
class StartScore:
    """The score of the weights that training began with, None if it is not known."""

    score: float | None = None
    was_lost: bool = False
    """Whether a later score has fallen clearly below it."""


class Engine:
    """Trains a network. To continue from a saved state, call `resume` before `fit`."""

    def __init__(
        self,
        stepper: Stepper,
        loader: TrainLoader,
        validator: Validator,
        stopping: EarlyStopping,
        plan: TrainingPlan,
        *,
        save_state: Callable[[int, dict[str, Any]], None],
        save_best: Callable[[nn.Module, int, ScoreTable], None],
        keep_weights: Callable[[nn.Module, int, int, float | None], None],
        emit: Listener,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stepper, self.loader, self.validator = stepper, loader, validator
        self.stopping, self.plan = stopping, plan
        self.save_state, self.save_best, self.keep_weights = save_state, save_best, keep_weights
        self.emit, self.stop_requested = emit, stop_requested
        accelerator = stepper.train_state.accelerator
        self.vote = StopVote(accelerator.device) if accelerator.num_processes > 1 else None
        self.epoch, self.batches_done = 0, 0
        self.means = RunningMeans()
        self.best_score: float | None = None
        self.start = StartScore()
        self.reading: Reading | None = None
        self.loss_read_s = 0.0

    @property
    def is_trained(self) -> bool:
        """Whether no epoch is left to train: all are done, or training has stopped early."""
        return self.epoch >= self.plan.epochs or self.stopping.should_stop

    def fit(self) -> EarlyStopping:
        """Train the remaining epochs; return the record of the best one."""
        if self.plan.scores_start and not self.stepper.steps_done:
            self.score_start()
        while not self.is_trained:
            stopwatch = Stopwatch()
            self.train_epoch(stopwatch)
            score = self.evaluate()
            self.end_epoch(score, stopwatch)
        return self.stopping

    def score_start(self) -> None:
        """Score the weights that training begins with; later scores are compared with that."""
        stopwatch = Stopwatch()
        score = self.score(self.stepper.train_state.kept_model, -1)
        self.start = StartScore(score.table.mean)
        self.emit(StartScored(score.loss, score.table.mean, score.table.per_class, stopwatch.seconds))

    def train_epoch(self, stopwatch: Stopwatch) -> None:
        """Train on the batches of the epoch that are not done yet."""
        self.stepper.train_state.begin_training()
        self.reading, self.loss_read_s = None, time.monotonic()
        batches = self.loader.count(self.epoch)
        for images, masks in stopwatch.time(self.loader.batches(self.epoch, skip=self.batches_done)):
            # Learn from one batch; its losses stay on the device.
            steps_before = self.stepper.steps_done
            self.means.add(self.stepper.step(images, masks, self.batches_done, batches))
            self.batches_done += 1

            # Report progress, and the loss so far every few seconds.
            self.emit(StepEnded(self.epoch, self.batches_done, batches, self.loss_if_due(batches)))

            # Only between optimizer steps, when no gradients are held, can the state be saved or the run be stopped.
            # The weights at the end of an epoch are kept after it is scored.
            if self.stepper.steps_done > steps_before:
                if self.batches_done < batches:
                    self.keep_if_due(None)
                self.save_if_due()
        self.raise_if_not_finite()

    def evaluate(self) -> Score | None:
        """Score the weights that would be saved; None if this epoch is not due to be scored."""
        last = self.epoch + 1 == self.plan.epochs
        if not last and (self.epoch + 1) % self.plan.evaluate_every:
            return None
        return self.score(self.stepper.train_state.kept_model, self.epoch)

    def score(self, network: nn.Module, epoch: int) -> Score:
        """Score any network as that of `epoch`; if the run is asked to stop meanwhile, save its state and stop."""
        try:
            return self.validator.score(network, epoch, self.stop_requested)
        except Stopped:
            self.stop_and_save()

    def end_epoch(self, score: Score | None, stopwatch: Stopwatch) -> None:
        """Save the best weights, update schedule and average, emit the event, save the state of the next epoch.

        The event precedes the state: a run that is killed in between repeats the event, and no listener misses one.
        """
        # Compare with the best so far; the best weights are saved at once.
        train_state, monitored = self.stepper.train_state, self.monitored(score)
        is_best = monitored is not None and self.stopping.update(self.epoch, monitored)
        if score is not None and is_best:
            self.best_score = score.table.mean
            self.save_best(train_state.kept_model, self.epoch, score.table)
        self.keep_if_due(score.table.mean if score else None)

        # Collect the epoch's numbers before the schedule changes the learning rates.
        event = self.epoch_event(score, stopwatch, is_best)
        train_state.schedule.after_epoch(monitored)
        if train_state.swa is not None:
            train_state.swa.after_epoch(train_state.model, self.epoch)
        self.emit(event)

        # The state that is saved is that of the next epoch, before its first batch.
        self.epoch, self.batches_done, self.means = self.epoch + 1, 0, RunningMeans()
        self.save()

    def monitored(self, score: Score | None) -> float | None:
        """Return the number that decides which epoch is best, when to stop early and what a plateau is."""
        if score is None:
            return None
        return score.loss if self.plan.monitors_loss else score.table.mean

    def epoch_event(self, score: Score | None, stopwatch: Stopwatch, is_best: bool) -> EpochEnded:
        """Collect the numbers of the epoch that has just ended."""
        parts = self.means.read()
        return EpochEnded(
            epoch=self.epoch,
            epochs=self.plan.epochs,
            seconds=stopwatch.seconds,
            train_loss=parts.pop("loss"),
            loss_parts=parts,
            learning_rates=self.stepper.train_state.learning_rates,
            data_wait_share=stopwatch.wait_share,
            valid_loss=score.loss if score else None,
            score=score.table.mean if score else None,
            score_per_class=score.table.per_class if score else {},
            best=self.stopping.best,
            is_best=is_best,
            best_score=self.best_score,
            best_epoch=self.stopping.best_epoch if self.stopping.best_epoch >= 0 else None,
            device=device_figures(self.stepper.train_state.accelerator.device),
            rounds=self.plan.rounds,
            fell_from=self.fell_from(score),
        )

    def fell_from(self, score: Score | None) -> float | None:
        """Return the score of the start if this score is the first that fell clearly below it, else None."""
        start = self.start.score
        if score is None or start is None or self.start.was_lost:
            return None
        if not score.table.metric.fell_below(start, score.table.mean):
            return None
        self.start = StartScore(start, was_lost=True)
        return start

    def loss_if_due(self, batches: int) -> float | None:
        """Read the mean loss so far, every few seconds, else None. Raises `NonFiniteLoss` if it is not finite.

        Within an epoch the device is not waited for: the loss is read some batches later, when it has come so far.
        """
        epoch_is_done = self.batches_done == batches
        is_due = self.reading is None and time.monotonic() - self.loss_read_s >= READ_LOSS_EVERY_S
        if epoch_is_done or is_due:
            self.reading, self.loss_read_s = self.read_later(), time.monotonic()
        reading = self.reading
        if reading is None or not (epoch_is_done or reading.is_there()):
            return None
        self.reading = None
        self.raise_if_bad(reading)
        return reading.mean("loss")

    def read_later(self) -> Reading:
        """Note how the training stands after this batch, without waiting for the device."""
        return Reading(self.means, are_finite(self.stepper.train_state.model))

    def raise_if_not_finite(self) -> None:
        """Raise `NonFiniteLoss`, with the images that were learnt from, if the loss or the weights are not finite."""
        self.raise_if_bad(self.read_later())

    def raise_if_bad(self, reading: Reading) -> None:
        """Raise `NonFiniteLoss` if the loss or the weights were not finite at this reading."""
        bad = reading.first_bad()
        if bad is not None:
            raise NonFiniteLoss("training loss", self.place_of(bad), self.loader.keys_of(bad))
        if not reading.weights_are_finite():
            last = self.batches_done - 1
            raise NonFiniteLoss("network's weights", self.place_of(last), self.loader.keys_of(last))

    def place_of(self, batch: int) -> str:
        """Return in words where batch number `batch` (from 0) of this epoch stands in the training."""
        rounds = self.plan.rounds
        if rounds is None:
            return f"in epoch {self.epoch + 1}, batch {batch + 1}"
        return f"at step {rounds.first_step(self.epoch) + batch // self.stepper.accumulate + 1}"

    def stop_and_save(self) -> NoReturn:
        """Save the state and raise `Interrupted`. The resumed run repeats a scoring that was not finished."""
        self.save()
        raise Interrupted(self.epoch, self.batches_done, self.stepper.steps_done)

    def keep_if_due(self, score: float | None) -> None:
        """Keep the weights every `keep_every_steps` optimizer steps, with their score if they have been scored.

        They precede the state of the same step: a run that is killed in between writes them again.
        """
        every, steps_done = self.plan.keep_every_steps, self.stepper.steps_done
        if every and steps_done % every == 0:
            self.raise_if_not_finite()
            self.keep_weights(self.stepper.train_state.kept_model, self.epoch, steps_done, score)

    def save_if_due(self) -> None:
        """Save every `save_every_steps` optimizer steps; stop and save if any process was asked to stop."""
        asked = self.stop_requested()
        if asked if self.vote is None else self.vote(asked):
            self.stop_and_save()
        every = self.plan.save_every_steps
        if every and self.stepper.steps_done % every == 0:
            self.save()

    def save(self) -> None:
        """Save the state. Raises `NonFiniteLoss` if it is not finite; the earlier states remain."""
        if self.batches_done:
            self.raise_if_not_finite()
        self.save_state(self.stepper.steps_done, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the training depends on."""
        return {
            "stepper": self.stepper.state_dict(),
            "stopping": self.stopping.state_dict(),
            "best_score": self.best_score,
            "start": asdict(self.start),
            "means": self.means.state_dict(),
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            **random_states(self.stepper.train_state.accelerator),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned: the next batch is the one that would have followed."""
        self.stepper.load_state_dict(state["stepper"])
        self.stopping.load_state_dict(state["stopping"])
        # States of version 0.1 do not have the score of the best epoch; if the score decides, it is the best value.
        is_score = not self.plan.monitors_loss and self.stopping.best_epoch >= 0
        self.best_score = state.get("best_score", self.stopping.best if is_score else None)
        self.start = StartScore(**state.get("start", {}))  # runs of version 0.1 did not score it
        self.means.load_state_dict(state["means"], self.stepper.train_state.accelerator.device)
        self.epoch, self.batches_done = state["epoch"], state["batches_done"]
        restore_random_states(self.stepper.train_state.accelerator, state)


@torch.no_grad()
def are_finite(model: nn.Module) -> Tensor:
    """Return whether all weights and buffers of a network are finite numbers, one boolean on its device.

    A tensor's largest absolute value is finite if all its values are. All of these are computed in a few kernels.
    """
    numbers = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point() and tensor.numel()]
    return torch.stack(torch._foreach_norm(numbers, math.inf)).isfinite().all()
