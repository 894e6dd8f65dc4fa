"""Batch normalisation over the images of all processes, with the result of one process that has the whole batch.

Without it each process normalises by its own few images, and a network learns something else on four GPUs than on one.
Torch's own layer exists for GPUs alone, and waits for the GPU in each layer to find processes without images; here all
have the same number of images.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

# Shapes: R processes, B images of one of them, C channels, H/W pixels of a feature map; R x is one value a process.


def share_batch_statistics(model: nn.Module) -> nn.Module:
    """Replace each batch normalisation of `model` by a shared one with the same weights, buffers and names.

    Call it in every process, before the optimizer is made.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, SharedBatchNorm(child))
    return model


class SharedBatchNorm(_BatchNorm):
    """One layer of batch normalisation (and the activation of timm's), for feature maps of any number of dimensions.

    Every process must have the same number of images, of one size. Uses the weights and buffers of `layer`.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self._parameters.update(layer._parameters)
        self._buffers.update(layer._buffers)
        self.drop, self.act = getattr(layer, "drop", None), getattr(layer, "act", None)
        self.train(layer.training)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self._normalised(x_BCHW) if self.training else super().forward(x_BCHW)
        for after in (self.drop, self.act):
            y_BCHW = y_BCHW if after is None else after(y_BCHW)
        return y_BCHW

    def _check_input_dim(self, input: Tensor) -> None:
        """Take an input of any number of dimensions."""

    def _normalised(self, x_BCHW: Tensor) -> Tensor:
        mean_C, variance_C = shared_moments(x_BCHW)
        self._note(mean_C, variance_C, dist.get_world_size() * x_BCHW.numel() // x_BCHW.shape[1])
        weight_C = torch.ones_like(mean_C) if self.weight is None else self.weight
        bias_C = torch.zeros_like(mean_C) if self.bias is None else self.bias
        y_BCHW: Tensor = _Normalised.apply(x_BCHW, mean_C, variance_C, weight_C, bias_C, self.eps)  # type: ignore[no-untyped-call]
        return y_BCHW

    @torch.no_grad()
    def _note(self, mean_C: Tensor, variance_C: Tensor, values: int) -> None:
        """Update the running statistics with one batch; with the unbiased variance, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.num_batches_tracked.float().reciprocal() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C, share)
        self.running_var.lerp_(variance_C * (values / max(1, values - 1)), share)


@torch.no_grad()
def shared_moments(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and biased variance of each channel over the values of all processes, [C]."""
    # On CPUs torch would round the moments of half-precision values to their format.
    values = x_BCHW if x_BCHW.is_cuda or x_BCHW.element_size() > 2 else x_BCHW.float()
    own = torch.stack(torch.batch_norm_update_stats(values, None, None, 0.0))
    of_all = own.new_empty((dist.get_world_size() * 2, own.shape[1]))
    dist.all_gather_into_tensor(of_all, own)
    means_RC, variances_RC = of_all[0::2], of_all[1::2]
    between_C, mean_C = torch.var_mean(means_RC, 0, correction=0)
    return mean_C, variances_RC.mean(0) + between_C


class _Normalised(torch.autograd.Function):
    """Values, normalised by the moments of all processes' values; the gradient takes the moments for what they are.

    With x̂ the normalised values, w the weights, s the standard deviation and N the number of values of a channel, the
    gradient of x is w / s · (dy - (Σdy + x̂ · Σ(dy·x̂)) / N), with sums over all processes (arXiv:1502.03167). The first
    term and both sums are what torch computes for fixed moments, and the rest is one more normalisation of x.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCHW: Tensor, mean_C: Tensor, variance_C: Tensor, weight_C: Tensor, bias_C: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x_BCHW, mean_C, variance_C, weight_C)
        ctx.eps = eps
        return F.batch_norm(x_BCHW, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, mean_C, variance_C, weight_C = ctx.saved_tensors
        none = mean_C.new_empty(0)
        dx_BCHW, own_with_x_C, own_C = torch.ops.aten.native_batch_norm_backward(
            dy_BCHW, x_BCHW, weight_C, mean_C, variance_C, none, none, False, ctx.eps, [True, True, True]
        )
        sums_2C = torch.stack([own_with_x_C, own_C])
        dist.all_reduce(sums_2C)
        values = dist.get_world_size() * x_BCHW.numel() // x_BCHW.shape[1]
        scale_C, shift_C = -sums_2C / values * (weight_C * torch.rsqrt(variance_C + ctx.eps))
        dx_BCHW += F.batch_norm(x_BCHW, mean_C, variance_C, scale_C, shift_C, training=False, eps=ctx.eps)
        return dx_BCHW, None, None, own_with_x_C, own_C, None
