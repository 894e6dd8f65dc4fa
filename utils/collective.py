"""Gather tensors of several processes so that gradients return to the process that each part came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable


def gather_with_gradient(own: Tensor) -> Tensor:
    """Return [R, *own.shape], the tensors of all R processes in the order of their ranks. All processes must call it.

    The gradient that reaches `own` is that of the sum of all processes' results. If all compute the same loss from the
    gathered tensors, that is R times the gradient of one loss; DistributedDataParallel then takes the mean over the
    processes, which leaves the gradient of one loss.
    """
    gathered: Tensor = _Gather.apply(own)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
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
