"""Averages of a network's weights over its training, often better networks than the last step's: EMA and SWA."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average of the weights of `model`, on the same device; updated after each optimizer step.

    After step n: average ← d · average + (1 - d) · weights, with d = min(decay, (1 + n) / (10 + n)). Because d rises
    from 0.1, a short training is not dominated by its random start (Polyak averaging with the warm-up of TensorFlow's
    ExponentialMovingAverage). Buffers, such as batch-norm statistics, are averaged too.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.model = copy.deepcopy(model)
        """The network with the averaged weights."""

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Include the weights of `model` after an optimizer step, in a few kernels for all of its tensors."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        pairs = list(zip(tensors_of(self.model), tensors_of(model), strict=True))
        averages, values = columns((average, value) for average, value in pairs if average.is_floating_point())
        torch._foreach_lerp_(averages, values, share)
        # Whole numbers, such as the count of batches, are not averaged: the last value is kept.
        lasts, values = columns((last, value) for last, value in pairs if not last.is_floating_point())
        if lasts:
            torch._foreach_copy_(lasts, values)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.model.load_state_dict(state["model"])


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Yield the parameters and buffers of a network."""
    return chain(model.parameters(), model.buffers())


def columns(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the first and the second tensors of pairs."""
    listed = list(pairs)
    return [first for first, _ in listed], [second for _, second in listed]


class Swa:
    """Stochastic weight averaging (arXiv:1803.05407): the equal average of the weights at the ends of epochs.

    Averages from the end of epoch `first_epoch` (from 0) on. Late epochs of one training lie around one optimum, and
    their average is often nearer to it than any of them. It is stored in main memory and takes no device memory.
    """

    def __init__(self, first_epoch: int) -> None:
        self.first_epoch, self.count = first_epoch, 0
        self.average: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Include the weights at the end of `epoch`. Integer buffers are not averaged: the last value is kept."""
        if epoch < self.first_epoch:
            return
        self.count += 1
        for name, tensor in model.state_dict().items():
            value = tensor.detach().to("cpu", copy=True)
            if value.is_floating_point() and name in self.average:
                self.average[name].lerp_(value, 1 / self.count)
            else:
                self.average[name] = value

    def network(self, model: nn.Module) -> nn.Module:
        """Return a copy of `model` with the averaged weights; its batch-norm statistics must still be recomputed."""
        averaged = copy.deepcopy(model)
        averaged.load_state_dict(self.average)
        return averaged

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "average": dict(self.average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        self.average = {name: tensor.cpu().clone() for name, tensor in state["average"].items()}
