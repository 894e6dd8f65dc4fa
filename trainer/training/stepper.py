"""From batches to weights: forward, loss, scaled backward, accumulation, clipping, optimizer, schedule, average."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from data.masks.device import unpack_masks
from loss import Loss
from models.precision import Precision
from scheduler import Schedule
from trainer.training.ema import Ema
from trainer.training.swa import Swa
from transform.normalise import Normalisation
from utils.collective import gather_with_gradient


@dataclass(frozen=True)
class TrainState:
    """What learns and how. `model` owns the weights; `network` runs it (compiled, distributed, or the model itself)."""

    accelerator: Accelerator
    precision: Precision
    normalise: Normalisation
    model: nn.Module
    network: nn.Module
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    ema: Ema | None = None
    swa: Swa | None = None

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each of the optimizer's groups, by its name."""
        return {group["name"]: group["lr"] for group in self.optimizer.param_groups}

    @property
    def kept_model(self) -> nn.Module:
        """The weights that are scored and kept: the averaged ones where there is an average."""
        return self.model if self.ema is None else self.ema.model


class Stepper:
    """Takes batches, one `step` each; every `accumulate` batches (fewer at an epoch's end) move the weights once."""

    def __init__(self, train_state: TrainState, *, accumulate: int = 1, clip_norm: float | None = None) -> None:
        self.train_state, self.accumulate, self.clip_norm = train_state, accumulate, clip_norm
        self.scaler = train_state.precision.scaler()
        self.steps_done = 0

    def step(self, images_BHW: Tensor, packed_BHWK: Tensor, batch: int, batches: int) -> dict[str, Tensor]:
        """Learn from batch number `batch` (from 0) of an epoch's `batches`; returns the detached losses."""
        group_size, ends_group = accumulation_group(batch, batches, self.accumulate)
        with nullcontext() if ends_group else self._gradients_stay_local():
            losses = self._forward(images_BHW, packed_BHWK)
            self.scaler.scale(losses["loss"] / group_size).backward()
        if ends_group:
            self._update_weights()
        return {name: loss.detach() for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on. Valid between accumulation groups, when no gradients are held."""
        return {name: holder.state_dict() for name, holder in self._holders().items()} | {"steps_done": self.steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, holder in self._holders().items():
            holder.load_state_dict(state[name])
        self.steps_done = state["steps_done"]

    def _forward(self, images_BHW: Tensor, packed_BHWK: Tensor) -> dict[str, Tensor]:
        """The loss and its parts, of all processes' images. They travel as bytes and become numbers on the device."""
        train_state = self.train_state
        device = train_state.accelerator.device
        images, packed = images_BHW.to(device, non_blocking=True), packed_BHWK.to(device, non_blocking=True)
        with train_state.precision.autocast():
            logits = train_state.network(train_state.normalise(images))
        target = unpack_masks(packed, logits.shape[1], torch.uint8)
        parts = train_state.loss.parts(
            logits, target, gather_with_gradient if train_state.accelerator.num_processes > 1 else None
        )
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _update_weights(self) -> None:
        """One optimizer step. Where fp16 overflowed, the scaler skips it, and the schedule waits as well."""
        train_state, scaler = self.train_state, self.scaler
        scaler.unscale_(train_state.optimizer)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(train_state.model.parameters(), self.clip_norm)
        scale_before = scaler.get_scale()
        scaler.step(train_state.optimizer)
        scaler.update()
        train_state.optimizer.zero_grad(set_to_none=True)
        self.steps_done += 1
        if scaler.get_scale() < scale_before:
            return
        train_state.schedule.after_step()
        if train_state.ema is not None:
            train_state.ema.update(train_state.model)

    def _gradients_stay_local(self) -> AbstractContextManager[object]:
        """Within an accumulation group, processes need not exchange gradients."""
        context: AbstractContextManager[object] = self.train_state.accelerator.no_sync(self.train_state.network)
        return context

    def _holders(self) -> dict[str, Any]:
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
    """How many batches share the optimizer step of `batch`, and whether `batch` is their last.

    The last group of an epoch holds what is left; its mean is over what it holds.
    """
    start = batch - batch % accumulate
    size = min(accumulate, batches - start)
    return size, batch == start + size - 1
