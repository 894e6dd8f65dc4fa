"""Sums over the pixels of each (image, class), in one pass that never holds a second full-size tensor but the gradient.

Written with plain tensor operations, each operation of a loss would keep a tensor of the logits' size, in fp32, until
backward. Here forward keeps the sums alone, and backward reads the logits again. Both passes are one kernel each on
CUDA (`loss.fused`), and go through blocks elsewhere (`loss.pixel_blocks`). What a loss computes from its sums is
ordinary autograd on [B, C] numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from loss.fused.passes import fused_slope, fused_sums
from loss.pixel_blocks import Term, slope_in_blocks, sums_in_blocks

# Shapes: B images, C classes, H/W pixels of the model's output; S terms; R processes.


@dataclass(frozen=True)
class PixelSums:
    """The sums of each term over the pixels, [B, C] each, with the tensors that were summed over."""

    logits_BCHW: Tensor
    target_BCHW: Tensor
    values: dict[Term, Tensor]

    def __getitem__(self, term: Term) -> Tensor:
        """Return the sum of `term` over the pixels, [B, C]."""
        return self.values[term]

    @property
    def pixels(self) -> int:
        """The number of pixels of one image."""
        return self.logits_BCHW.shape[2] * self.logits_BCHW.shape[3]

    def of_all(self, gather: Callable[[Tensor], Tensor]) -> PixelSums:
        """Return the sums of all processes' images, in the order of ranks; logits and target remain this process's."""
        gathered_RSBC = gather(torch.stack(list(self.values.values())))
        values = gathered_RSBC.transpose(0, 1).flatten(1, 2)
        return replace(self, values=dict(zip(self.values, values, strict=True)))


def pixel_sums(logits_BCHW: Tensor, target_BCHW: Tensor, terms: Sequence[Term]) -> PixelSums:
    """Sum each of `terms` over the pixels of each image and class; differentiable once, in the logits.

    Raises ValueError if logits and target differ in shape.
    """
    check_shapes(logits_BCHW, target_BCHW)
    sums_SBC: Tensor = _PixelSums.apply(logits_BCHW, target_BCHW, tuple(terms))  # type: ignore[no-untyped-call]
    return PixelSums(logits_BCHW, target_BCHW, dict(zip(terms, sums_SBC, strict=True)))


def check_shapes(logits_BCHW: Tensor, target_BCHW: Tensor) -> None:
    """Raise ValueError unless logits and target have one shape of four axes."""
    if logits_BCHW.ndim != 4 or logits_BCHW.shape != target_BCHW.shape:
        raise ValueError(
            f"logits {tuple(logits_BCHW.shape)} and target {tuple(target_BCHW.shape)}: expected one shape, [B, C, H, W]"
        )


class _PixelSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, terms: tuple[Term, ...]) -> Tensor:
        ctx.save_for_backward(logits, target)
        ctx.terms = terms
        sums_SBC = fused_sums(logits, target, terms)
        return sums_in_blocks(logits, target, terms) if sums_SBC is None else sums_SBC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights_SBC: Tensor) -> tuple[Tensor, None, None]:
        logits, target = ctx.saved_tensors
        gradient = fused_slope(logits, target, ctx.terms, weights_SBC)
        if gradient is None:
            gradient = slope_in_blocks(logits, target, ctx.terms, weights_SBC)
        return gradient, None, None
