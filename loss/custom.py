"""Losses from plain functions: any differentiable function of logits and target becomes a loss in one line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import torch
from torch import Tensor

from loss.base import Gather, Loss, Outputs, list_of
from loss.pixel_blocks import working_dtype
from loss.pixel_sums import check_shapes

# Shapes: B images, C classes, H/W pixels of the network's first output, R processes.

Function: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(logits, target), both float [B, C, H, W], to the loss of each image [B], or to one number for all of them."""


class FunctionLoss(Loss):
    """The loss that `function` computes from the first output, under a name; the mean if there is one for each image.

    The function gets fp32 tensors (fp64 for fp64 logits) on the logits' device, and autograd differentiates it. So it
    holds every tensor that its backward pass needs, of the logits' size; a `PixelSumLoss` holds none.

    In several processes the loss is the mean over processes. If the function returns one number for each image, or
    their mean, this is the loss of the whole batch; other functions of a whole batch, such as a quotient of sums over
    its images, differ from it.

    Example: `FunctionLoss("l1", lambda logits, target: (logits.sigmoid() - target).abs().mean((1, 2, 3)))`.
    """

    def __init__(self, name: str, function: Function) -> None:
        if name == "loss":
            raise ValueError("the name 'loss' is that of the sum of all parts. Give this loss another name.")
        self.name, self.function = name, function

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        logits_BCHW = list_of(outputs)[0]
        check_shapes(logits_BCHW, target_BCHW)
        dtype = working_dtype(logits_BCHW)
        with _without_autocast(logits_BCHW.device):
            value = self.function(logits_BCHW.to(dtype), target_BCHW.to(dtype))
        self._check(value, len(logits_BCHW))
        return {self.name: (value if gather is None else gather(value)).mean()}

    def _check(self, value: Tensor, images: int) -> None:
        if value.shape not in ((), (images,)):
            raise ValueError(
                f"loss '{self.name}': its function returned the shape {list(value.shape)}; "
                f"expected one number, or one for each image, [{images}]."
            )


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Let operations keep the precision of their inputs; tensors without content have no autocast to switch off."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
