"""What every loss is: named parts that add up. Most are small formulas over sums of pixels, computed in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from torch import Tensor

from loss.pixel_blocks import Term
from loss.pixel_sums import PixelSums, pixel_sums

# Shapes: B images, C classes, H/W pixels of the network's first output, R processes.

Outputs: TypeAlias = Tensor | Sequence[Tensor]
"""What a network returns: logits [B, C, H, W], or several such tensors, of which the first is the prediction."""
Gather: TypeAlias = Callable[[Tensor], Tensor]
"""Turns a tensor [...] of this process into [R, ...], the tensors of all processes; gradients flow back through it."""


class Loss(Protocol):
    """A loss on a network's outputs and a target in 0..1 (bool, uint8 or float), [B, C, H, W].

    The target has the size of the first output. Others may have other sizes: a loss that reads them resizes them or
    the target. In validation a loss is given the prediction alone, so a single tensor must always do.

    Logits may be fp16, bf16, fp32 or fp64; fp16 and bf16 are computed in fp32.
    """

    @abstractmethod
    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        """Return the weighted parts by name, scalars (fp32; fp64 for fp64 logits) whose sum is the loss.

        With `gather` it is the loss of the images of all processes, the same in each of them; each holds as many. The
        gradient is then that of R times the loss, for DistributedDataParallel divides the sum over processes by R.
        Detach the parts before keeping them for a log.
        """

    def __call__(self, outputs: Outputs, target_BCHW: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return total(self.parts(outputs, target_BCHW))


class PixelSumLoss(Loss):
    """A loss of the first output that is computed from sums of `terms` over the pixels of each image and class.

    It needs little memory (see `loss.pixel_sums`), shares its pass over the pixels with others in a mix, and never
    waits for the device.
    """

    terms: tuple[Term, ...]

    @abstractmethod
    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        """Return the parts by name from the sums of `terms`."""

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        return self.parts_of(sums_of(outputs, target_BCHW, self.terms, gather))


def sums_of(outputs: Outputs, target_BCHW: Tensor, terms: Sequence[Term], gather: Gather | None) -> PixelSums:
    """Sum `terms` over the pixels of the first output; with `gather`, the sums are of all processes' images.

    Only the sums travel between processes: a few numbers for each image and class.
    """
    sums = pixel_sums(list_of(outputs)[0], target_BCHW, terms)
    return sums if gather is None else sums.of_all(gather)


def list_of(outputs: Outputs) -> list[Tensor]:
    """Return all outputs in order, also if there is only one."""
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def total(parts: dict[str, Tensor]) -> Tensor:
    """Add up the parts of a loss."""
    first, *others = parts.values()
    for part in others:
        first = first + part
    return first
