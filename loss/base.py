"""What every loss is: named parts that add up, each a small formula over pixel sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from loss.pixel_sums import PixelSums, Term, pixel_sums

# Shapes: B images, C classes, H/W pixels of the model's output.


class Loss(nn.Module, ABC):
    """A loss on logits [B, C, H, W] and targets in 0..1 (bool, uint8 or float) of the same shape.

    Logits may be fp16, bf16, fp32 or fp64; fp16 and bf16 are worked on in fp32. No loss waits for the device.
    """

    terms: tuple[Term, ...] = ()

    @abstractmethod
    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        """Weighted contributions by name, scalars that add up to the loss, from the sums of `terms`."""

    def parts(
        self, logits_BCHW: Tensor, target_BCHW: Tensor, gather: Callable[[Tensor], Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Weighted contributions by name; their sum is the loss. Detach them before keeping them for a log.

        `gather` turns a tensor into those of all processes, [R, …]: the loss is then that of all their images, as
        one process would compute it, though no pixel leaves its own.
        """
        sums = pixel_sums(logits_BCHW, target_BCHW, self.terms)
        return self.parts_of(sums if gather is None else sums.of_all(gather))

    def forward(self, logits_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """The loss, a scalar (fp32; fp64 for fp64 logits)."""
        return total(self.parts(logits_BCHW, target_BCHW))

    if TYPE_CHECKING:

        def __call__(self, logits_BCHW: Tensor, target_BCHW: Tensor) -> Tensor: ...


def total(parts: dict[str, Tensor]) -> Tensor:
    """The loss whose parts these are."""
    first, *others = parts.values()
    for part in others:
        first = first + part
    return first
