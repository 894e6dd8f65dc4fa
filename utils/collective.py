"""Tensors of several processes put together, so that gradients flow back to the process that each part came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable


def gathered(own: Tensor) -> Tensor:
    """[R, *own.shape], the tensor of each of R processes in the order of their ranks; all must call it alike.

    What every process makes of it sends its gradient back to all, and these add up: the gradient is that of the sum
    of all processes' results. Where all compute the same loss of it, that is R times the loss; the mean over
    processes that DistributedDataParallel takes makes it one.
    """
    everybodys: Tensor = _Gathered.apply(own)  # type: ignore[no-untyped-call]
    return everybodys


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]
