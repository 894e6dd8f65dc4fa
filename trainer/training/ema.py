"""An exponential moving average of a network's weights, often a better network than the last step's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Ema:
    """The averaged copy of `model`: after step n, average ← d·average + (1-d)·weights, d = min(decay, (1+n)/(10+n)).

    The rising d lets a short training forget its random start (Polyak averaging with the warm-up of TensorFlow's
    ExponentialMovingAverage). Buffers, batch-norm statistics above all, are averaged too.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.average = AveragedModel(model, multi_avg_fn=self._blend, use_buffers=True)
        self.average.update_parameters(model)

    @property
    def model(self) -> nn.Module:
        return self.average.module

    def update(self, model: nn.Module) -> None:
        """Blend in the weights after an optimizer step."""
        self.steps += 1
        self.average.update_parameters(model)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.model.load_state_dict(state["model"])

    def _blend(self, averages: Sequence[Tensor], values: Sequence[Tensor], _: object) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), 1 - decay)
            else:
                average.copy_(value)
