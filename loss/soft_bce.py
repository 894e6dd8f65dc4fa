"""Binary cross-entropy with smoothed labels and a weight of the class's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from loss.base import Loss
from loss.pixel import PixelMean
from loss.pixel_blocks import Block

Smoothing = Annotated[float, Field(ge=0, lt=0.5)]


def soft_bce(*, smooth: Smoothing = 0.1, positive_weight: PositiveFloat = 1.0) -> Loss:
    """Binary cross-entropy, the mean over images, classes and pixels, that wrong labels harm less.

    smooth: targets 0 and 1 become `smooth` and 1 - `smooth`, so that no probability is driven to 0 or 1.
    positive_weight: weight of pixels of the class; above 1 for classes of few pixels.
    """
    return PixelMean("soft_bce", SoftCrossEntropy(smooth, positive_weight))


@dataclass(frozen=True)
class SoftCrossEntropy:
    """-w s log σ - (1 - s) log(1 - σ) with s = smooth + (1 - 2 smooth) t."""

    smooth: float
    positive_weight: float

    def value(self, block: Block) -> Tensor:
        """(1 - s) z + (1 + (w - 1) s) log(1 + e^-z)."""
        soft = self._smoothed(block)
        wrong = F.softplus(block.logit.abs().neg_()).add_(block.logit.neg().clamp_min_(0))
        return (1 - soft).mul_(block.logit).add_(wrong.mul_(self._weight(soft)))

    def slope(self, block: Block) -> Tensor:
        """(1 + (w - 1) s) σ - w s."""
        soft = self._smoothed(block)
        return self._weight(soft).mul_(block.probability).sub_(soft, alpha=self.positive_weight)

    def _smoothed(self, block: Block) -> Tensor:
        return block.target * (1 - 2 * self.smooth) + self.smooth

    def _weight(self, soft: Tensor) -> Tensor:
        return soft * (self.positive_weight - 1) + 1
