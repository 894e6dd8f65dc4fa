"""One step of training, top to bottom: `Stepper.step`, then `Stepper._update_weights`.

To the device, forward, loss, scaled backward; after every group of batches unscale, clip, step, schedule, average.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from data.encoding import Unpack
from loss import Loss
from models.outputs import prediction_of
from models.precision import Precision
from scheduler import Schedule
from trainer.training.averages import Ema, Swa
from transform.normalise import Normalisation
from utils.collective import gather_with_gradient

# Shapes: B images of one process, H/W pixels of the network's input, K bytes of a stored mask.


@dataclass(frozen=True)
class TrainState:
    """The objects that a training step works on.

    `model` holds the weights. `network` computes with them: it is the model, compiled or distributed if configured.
    """

    accelerator: Accelerator
    precision: Precision
    normalise: Normalisation
    model: nn.Module
    network: nn.Module
    loss: Loss
    unpack: Unpack
    optimizer: Optimizer
    schedule: Schedule
    ema: Ema | None = None
    swa: Swa | None = None
    norms_kept: tuple[nn.Module, ...] = ()
    """Batch normalisations that stay in evaluation mode."""

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each of the optimizer's parameter groups, by the group's name."""
        return {group["name"]: group["lr"] for group in self.optimizer.param_groups}

    @property
    def names_of_norms_kept(self) -> list[str]:
        """The names of these normalisations in the model."""
        return [name for name, layer in self.model.named_modules() if layer in self.norms_kept]

    def begin_training(self) -> None:
        """Put the network in training mode, except for what stays as it is."""
        self.network.train()
        for layer in self.norms_kept:
            layer.eval()

    @property
    def kept_model(self) -> nn.Module:
        """The network that is scored and saved: the moving average if there is one, else the model."""
        return self.model if self.ema is None else self.ema.model


class Stepper:
    """Learns from batches, one `step` each; `accumulate` batches share one update of the weights.

    At an epoch's end fewer may be left to share the last update.
    """

    def __init__(self, train_state: TrainState, *, accumulate: int = 1, clip_norm: float | None = None) -> None:
        self.train_state, self.accumulate, self.clip_norm = train_state, accumulate, clip_norm
        self.scaler = train_state.precision.scaler()
        self.steps_done = 0

    def step(self, images: Tensor, masks_BHWK: Tensor, batch: int, batches: int) -> dict[str, Tensor]:
        """Learn from batch number `batch` (from 0) of an epoch's `batches`; return the detached loss and its parts.

        `images` are uint8 [B, H, W], or [B, H, W, 3] in RGB; their masks are uint8 and stored as the task does it.
        """
        state = self.train_state
        device, several = state.accelerator.device, state.accelerator.num_processes > 1
        group_size, ends_group = accumulation_group(batch, batches, self.accumulate)

        # To the device. Images and masks travel as bytes and become numbers there.
        images, masks = images.to(device, non_blocking=True), masks_BHWK.to(device, non_blocking=True)

        # Processes exchange gradients in the backward pass of the group's last batch alone.
        with nullcontext() if ends_group else self._gradients_stay_local():
            # Forward, in the run's number format.
            with state.precision.autocast():
                outputs = state.network(state.normalise(images))

            # Loss, in fp32: that of all processes' images.
            target = state.unpack(masks, prediction_of(outputs).shape[1])
            parts = state.loss.parts(outputs, target, gather_with_gradient if several else None)
            loss = torch.stack(list(parts.values())).sum()

            # Backward. The gradients of a group's batches add up to that of their mean loss. fp16 would round small
            # gradients to 0, so there the loss is multiplied by a large number, and its gradients with it.
            self.scaler.scale(loss / group_size).backward()

        if ends_group:
            self._update_weights()
        return {name: value.detach() for name, value in {"loss": loss, **parts}.items()}

    def _update_weights(self) -> None:
        """Take one optimizer step with the gradients of the group, then update the schedule and the average."""
        state, scaler = self.train_state, self.scaler

        # Unscale: divide the gradients by the scaler's number, so that they can be clipped.
        scaler.unscale_(state.optimizer)

        # Clip: shorten the gradient of all weights together to the norm `clip_norm`.
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(state.model.parameters(), self.clip_norm)

        # Step. If a gradient overflowed in fp16, the scaler leaves the weights as they are and lowers its number.
        # Whether it did is not asked: only the device knows, and would have to be waited for. Such a step counts as a
        # step in what follows too, so that a schedule ends with the run, whose length counts it as well.
        scaler.step(state.optimizer)
        scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        self.steps_done += 1

        # Schedule: set the learning rate of the next step.
        state.schedule.after_step()

        # Average: include the weights in the exponential moving average. (SWA follows after each epoch.)
        if state.ema is not None:
            state.ema.update(state.model)

    def _gradients_stay_local(self) -> AbstractContextManager[object]:
        """Let this process add up its own gradients; DistributedDataParallel exchanges none within this block."""
        context: AbstractContextManager[object] = self.train_state.accelerator.no_sync(self.train_state.network)
        return context

    def state_dict(self) -> dict[str, Any]:
        """Return all that later steps depend on. Valid between groups, when no gradients are held."""
        return {name: holder.state_dict() for name, holder in self._holders().items()} | {"steps_done": self.steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, holder in self._holders().items():
            # A run that begun in bf16 or fp32 has no loss scaling; if it goes on in fp16, that starts from new.
            if name != "scaler" or state[name]:
                holder.load_state_dict(state[name])
        self.steps_done = state["steps_done"]

    def _holders(self) -> dict[str, Any]:
        """The objects whose states a saved state consists of, by name."""
        train_state = self.train_state
        holders = {
            "model": train_state.model,
            "optimizer": train_state.optimizer,
            "schedule": train_state.schedule,
            "scaler": self.scaler,
        }
        averages = {"ema": train_state.ema, "swa": train_state.swa}
        return holders | {name: average for name, average in averages.items() if average is not None}


def accumulation_group(batch: int, batches: int, accumulate: int) -> tuple[int, bool]:
    """Return how many batches share the optimizer step of `batch`, and whether `batch` is the last of them.

    The last group of an epoch may be smaller. Example: of 5 batches with `accumulate` 2, the groups are 2, 2 and 1.
    """
    start = batch - batch % accumulate
    size = min(accumulate, batches - start)
    return size, batch == start + size - 1
