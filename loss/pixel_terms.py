"""The quantities that the losses sum over pixels, each with its derivative with respect to the logit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from loss.pixel_blocks import Block

# z: logit, σ: its sigmoid, t: target in 0..1.


@dataclass(frozen=True)
class Probability:
    """σ."""

    def value(self, block: Block) -> Tensor:
        return block.probability

    def slope(self, block: Block) -> Tensor:
        return block.probability_slope


@dataclass(frozen=True)
class Target:
    """t."""

    def value(self, block: Block) -> Tensor:
        return block.target

    def slope(self, block: Block) -> None:
        return None


@dataclass(frozen=True)
class Overlap:
    """min(σ, t): σt for a hard target, and for a soft one still largest at σ = t (arXiv:2302.05666)."""

    def value(self, block: Block) -> Tensor:
        return torch.minimum(block.probability, block.target)

    def slope(self, block: Block) -> Tensor:
        return block.probability_slope * (block.probability < block.target)


@dataclass(frozen=True)
class CrossEntropy:
    """-t log σ - (1 - t) log(1 - σ)."""

    def value(self, block: Block) -> Tensor:
        return block.cross_entropy

    def slope(self, block: Block) -> Tensor:
        return block.cross_entropy_slope


@dataclass(frozen=True)
class Focal:
    """a (1 - e^-ℓ)^γ ℓ; ℓ is the cross-entropy, a = alpha t + (1 - alpha)(1 - t), or 1 without alpha."""

    gamma: float
    alpha: float | None

    def value(self, block: Block) -> Tensor:
        loss = block.cross_entropy
        return self._balanced(_error(loss).pow_(self.gamma).mul_(loss), block.target)

    def slope(self, block: Block) -> Tensor:
        """a q^γ (1 + γ (1 - q) ℓ/q) (σ - t) with q = 1 - e^-ℓ: unlike q^(γ-1), ℓ/q is finite for q = 0."""
        loss = block.cross_entropy
        error = _error(loss)
        steepness = (loss / error.clamp_min(torch.finfo(loss.dtype).tiny)).mul_(1 - error).mul_(self.gamma).add_(1)
        return self._balanced(error.pow_(self.gamma).mul_(steepness).mul_(block.cross_entropy_slope), block.target)

    def _balanced(self, value: Tensor, target: Tensor) -> Tensor:
        if self.alpha is None:
            return value
        return value.mul_(target * (2 * self.alpha - 1) + (1 - self.alpha))


def _error(cross_entropy: Tensor) -> Tensor:
    """1 - e^-ℓ, the probability given to the wrong answer; elu(x) is e^x - 1 below 0."""
    return F.elu_(cross_entropy.neg()).neg_()
