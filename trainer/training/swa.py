"""Stochastic weight averaging: the equal average of the weights at the ends of epochs (arXiv:1803.05407).

Late epochs of one training lie around one optimum; their average is often nearer to it than any of them. It is held in
main memory, so it costs the device nothing.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Swa:
    """Averages from the end of epoch `first_epoch` (from 0) on."""

    def __init__(self, first_epoch: int) -> None:
        self.first_epoch, self.count = first_epoch, 0
        self.average: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Take in the weights at the end of `epoch`. Whole numbers among the buffers are taken over as they are."""
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
        """A network like `model` with the averaged weights; its batch-norm statistics still have to be recomputed."""
        averaged = copy.deepcopy(model)
        averaged.load_state_dict(self.average)
        return averaged

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "average": dict(self.average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        self.average = {name: tensor.cpu().clone() for name, tensor in state["average"].items()}
