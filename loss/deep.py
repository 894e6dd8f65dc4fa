"""Losses of networks that return several tensors: deep supervision by logits, and supervision of feature maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from loss.base import Gather, Loss, Outputs, list_of
from utils.config.component import Component, component, enclosing_table
from utils.errors import UserError

# Shapes: B images, C classes, H/W pixels of the first output, h/w those of a further one, K channels of a map.

Weights = Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]
Teacher = Callable[[Tensor], Sequence[Tensor]]
"""From a target [B, C, H, W] in 0..1 to the maps [B, K, h, w] that a network should have."""


def deep_supervision(
    *, loss: Annotated[Component, component("loss", enclosing_table)], weights: Weights | None = None
) -> Loss:
    """The weighted sum of any loss over all outputs of a network, such as the seven of U-2-Net.

    An output that is smaller than the first is compared with the target at its own size. In validation, and of a
    network with one output, it is the loss of the prediction times the first weight.

    loss: the loss of each output; weights: a weight for each output, the prediction first; null: 1 for each.
    In YAML: `{name: deep_supervision, loss: bce, weights: [1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]}`.
    """
    return DeepSupervision(loss.build(), weights)


class DeepSupervision(Loss):
    """Σ weight · loss of each output. Parts of further outputs are named by their number: "bce", "bce_1", …"""

    def __init__(self, loss: Loss, weights: Sequence[float] | None = None) -> None:
        self.loss, self.weights = loss, weights

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        every = list_of(outputs)
        parts = {}
        for index, (logits, weight) in enumerate(zip(every, self._weights_of(len(every)), strict=True)):
            target = at_size(target_BCHW, (logits.shape[-2], logits.shape[-1]))
            for name, value in self.loss.parts(logits, target, gather).items():
                parts[f"{name}_{index}" if index else name] = weight * value
        return parts

    def _weights_of(self, outputs: int) -> Sequence[float]:
        """Return the weight of each output. Raises `UserError` if there are more or fewer, except for one alone."""
        weights = [1.0] * outputs if self.weights is None else self.weights
        if outputs not in (1, len(weights)):
            raise UserError(
                f"loss.weights: {len(weights)} weights, but the network returns {outputs} outputs. Write one for each."
            )
        return weights[:outputs]


class FeatureSupervision(Loss):
    """The part "features" beside a loss: the mean squared difference of a network's last outputs from given maps.

    The maps are those that `teacher` computes of the target, and the network's last outputs are as many. They are no
    logits, so `loss` gets the others. In validation, when there is one output, there is no such part.
    """

    def __init__(self, loss: Loss, teacher: Teacher, weight: float = 1.0) -> None:
        self.loss, self.teacher, self.weight = loss, teacher, weight

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        every = list_of(outputs)
        if len(every) == 1:
            return self.loss.parts(outputs, target_BCHW, gather)
        expected = self.teacher(target_BCHW)
        logits, maps = every[: -len(expected)], every[-len(expected) :]
        squares = [F.mse_loss(found.float(), wanted) for found, wanted in zip(maps, expected, strict=True)]
        difference = torch.stack(squares).sum()
        features = (difference if gather is None else gather(difference)).mean()
        return {**self.loss.parts(logits, target_BCHW, gather), "features": self.weight * features}


def at_size(target_BCHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize a target to `size_hw` by the means of the pixels that fall together; if it has that size, return it."""
    if tuple(target_BCHW.shape[-2:]) == size_hw:
        return target_BCHW
    return F.adaptive_avg_pool2d(target_BCHW.float(), size_hw)
