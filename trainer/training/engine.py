"""The training loop, top to bottom: epochs of steps, a score after each, the best kept, everything resumable.

The engine knows neither the task nor the configuration: it is handed its parts by `trainer.build` and tells what
happens as events. Epochs count from 0 here and in events; whoever shows them to people adds 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import torch
from torch import nn

from trainer.distributed.processes import StopVote, random_states, restore_random_states
from trainer.evaluation.score_table import DiceTable
from trainer.evaluation.validator import Score, Stopped, Validator
from trainer.training.device import device_figures
from trainer.training.early_stopping import EarlyStopping
from trainer.training.loader import TrainLoader
from trainer.training.metrics import RunningMeans, Stopwatch
from trainer.training.stepper import Stepper
from utils.errors import Interrupted, UserError
from utils.events import EpochEnded, Listener, StepEnded

READ_LOSS_EVERY_S = 5.0
"""Seconds between two looks at the running loss: each look waits for the device."""


class NonFiniteLoss(UserError):
    """Training broke down: `what` became infinite or not a number in `batch` (from 0) of `epoch`."""

    def __init__(self, what: str, epoch: int, batch: int, keys: Sequence[str]) -> None:
        super().__init__(
            f"The {what} became infinite or not a number in epoch {epoch + 1}, batch {batch + 1}, after learning from "
            f"{', '.join(keys)}. Look at these images; if they are good, start a new run with a lower learning rate "
            "(optimizer.lr), clipped gradients (trainer.clip_norm=1) or trainer.precision=fp32. The last good state "
            "and the best weights are kept."
        )


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, and how often to score and to save."""

    epochs: int
    evaluate_every: int = 1
    save_every_steps: int | None = None
    watch: Literal["dice", "valid_loss"] = "dice"


class Engine:
    """Trains. Call `resume` first to continue from a saved state, then `fit`."""

    def __init__(
        self,
        stepper: Stepper,
        loader: TrainLoader,
        validator: Validator,
        stopping: EarlyStopping,
        plan: TrainingPlan,
        *,
        save_state: Callable[[int, dict[str, Any]], None],
        save_best: Callable[[nn.Module, int, DiceTable], None],
        tell: Listener,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stepper, self.loader, self.validator = stepper, loader, validator
        self.stopping, self.plan = stopping, plan
        self.save_state, self.save_best = save_state, save_best
        self.tell, self.stop_requested = tell, stop_requested
        accelerator = stepper.train_state.accelerator
        self.vote = StopVote(accelerator.device) if accelerator.num_processes > 1 else None
        self.epoch, self.batches_done = 0, 0
        self.means = RunningMeans()
        self.looked_s = 0.0

    def fit(self) -> EarlyStopping:
        """Train the epochs that are left; returns what is known of the best one."""
        while self.epoch < self.plan.epochs and not self.stopping.should_stop:
            watch = Stopwatch()
            self.train_epoch(watch)
            self.end_epoch(self.evaluate(), watch)
        return self.stopping

    def train_epoch(self, watch: Stopwatch) -> None:
        """Train on those batches of the epoch that are not done yet."""
        self.stepper.train_state.network.train()
        self.looked_s = time.monotonic()
        batches = len(self.loader)
        for images, packed in watch.watch(self.loader.batches(self.epoch, skip=self.batches_done)):
            steps_before = self.stepper.steps_done
            self.means.add(self.stepper.step(images, packed, self.batches_done, batches))
            self.batches_done += 1
            self.tell(StepEnded(self.epoch, self.batches_done, batches, self.loss_now_and_then()))
            if self.stepper.steps_done > steps_before:
                self.save_if_due()
        self.refuse_not_finite()

    def evaluate(self) -> Score | None:
        """The score of the weights that would be kept, or None where this epoch is not to be scored."""
        last = self.epoch + 1 == self.plan.epochs
        if not last and (self.epoch + 1) % self.plan.evaluate_every:
            return None
        return self.score(self.stepper.train_state.kept_model, self.epoch)

    def score(self, network: nn.Module, epoch: int) -> Score:
        """The score of any network, told as that of `epoch`. Leaves where somebody asks the run to stop."""
        try:
            return self.validator.score(network, epoch, lambda: self.stop_requested())
        except Stopped:
            self.leave()

    def end_epoch(self, score: Score | None, watch: Stopwatch) -> None:
        """Keep the best, let the schedule know, tell, and save the state from which the next epoch starts.

        What is told comes before what is saved: a run killed in between tells again, and nobody misses an epoch.
        """
        train_state, watched = self.stepper.train_state, self.watched(score)
        is_best = watched is not None and self.stopping.update(self.epoch, watched)
        if score is not None and is_best:
            self.save_best(train_state.kept_model, self.epoch, score.dice)
        event = self.epoch_event(score, watch, is_best)
        train_state.schedule.after_epoch(watched)
        if train_state.swa is not None:
            train_state.swa.after_epoch(train_state.model, self.epoch)
        self.tell(event)
        self.epoch, self.batches_done, self.means = self.epoch + 1, 0, RunningMeans()
        self.save()

    def watched(self, score: Score | None) -> float | None:
        """The number that decides what is best, when to stop and what a plateau is."""
        if score is None:
            return None
        return score.loss if self.plan.watch == "valid_loss" else score.dice.mean

    def epoch_event(self, score: Score | None, watch: Stopwatch, is_best: bool) -> EpochEnded:
        """What is worth telling of the epoch that has just ended."""
        parts = self.means.read()
        return EpochEnded(
            epoch=self.epoch,
            epochs=self.plan.epochs,
            seconds=watch.seconds,
            train_loss=parts.pop("loss"),
            loss_parts=parts,
            learning_rates=self.stepper.train_state.learning_rates,
            data_wait_share=watch.wait_share,
            valid_loss=score.loss if score else None,
            dice=score.dice.mean if score else None,
            dice_per_class=score.dice.per_class if score else {},
            best=self.stopping.best,
            is_best=is_best,
            device=device_figures(self.stepper.train_state.accelerator.device),
        )

    def loss_now_and_then(self) -> float | None:
        """The epoch's mean loss so far, every few seconds, else None. Raises `NonFiniteLoss` where it is not finite."""
        epoch_is_done = self.batches_done == len(self.loader)
        if not epoch_is_done and time.monotonic() - self.looked_s < READ_LOSS_EVERY_S:
            return None
        self.looked_s = time.monotonic()
        self.refuse_not_finite()
        return self.means.read()["loss"]

    def refuse_not_finite(self) -> None:
        """Raise `NonFiniteLoss`, with the images that were learnt from, if the loss or the weights are not finite."""
        bad = self.means.first_bad()
        if bad is not None:
            raise NonFiniteLoss("training loss", self.epoch, bad, self.loader.keys_of(bad))
        if not is_finite(self.stepper.train_state.model):
            last = self.batches_done - 1
            raise NonFiniteLoss("network's weights", self.epoch, last, self.loader.keys_of(last))

    def leave(self) -> NoReturn:
        """Save and raise `Interrupted`. A scoring that is left is begun anew."""
        self.save()
        raise Interrupted(self.epoch, self.batches_done)

    def save_if_due(self) -> None:
        """Save every so many optimizer steps, and before leaving where any process was asked to stop."""
        asked = self.stop_requested()
        if asked if self.vote is None else self.vote(asked):
            self.leave()
        every = self.plan.save_every_steps
        if every and self.stepper.steps_done % every == 0:
            self.save()

    def save(self) -> None:
        """Save a state that is worth continuing from. Raises `NonFiniteLoss` otherwise; the states before it stay."""
        if self.batches_done:
            self.refuse_not_finite()
        self.save_state(self.stepper.steps_done, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        return {
            "stepper": self.stepper.state_dict(),
            "stopping": self.stopping.state_dict(),
            "means": self.means.state_dict(),
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            **random_states(self.stepper.train_state.accelerator),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave: the next batch is the one that would have followed."""
        self.stepper.load_state_dict(state["stepper"])
        self.stopping.load_state_dict(state["stopping"])
        self.means.load_state_dict(state["means"], self.stepper.train_state.accelerator.device)
        self.epoch, self.batches_done = state["epoch"], state["batches_done"]
        restore_random_states(self.stepper.train_state.accelerator, state)


@torch.no_grad()
def is_finite(model: nn.Module) -> bool:
    """Whether all weights and buffers of a network are finite numbers; looks at all, waits for the device once."""
    numbers = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in numbers]).all())
