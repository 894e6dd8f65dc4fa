"""Batch normalisation over the images of all processes, with the result of one process that has the whole batch.

Without it each process normalises by its own few images, and a network learns something else on four GPUs than on one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.collective import gather_with_gradient

# Shapes: R processes, B images of one of them, C channels, H/W pixels of a feature map.


def share_batch_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace each batch normalisation of `model` by a shared one with the same weights, buffers and names.

    Call it in every process, before the optimizer is made. On GPUs it uses fused kernels, which do not exist for CPUs.
    """
    if device.type != "cpu":
        from timm.layers import convert_sync_batchnorm  # torch's own would drop the activation in timm's layers

        shared: nn.Module = convert_sync_batchnorm(model)
        return shared
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm(child))
    return model


class SharedBatchNorm(nn.BatchNorm2d):
    """One layer of batch normalisation (and the activation of timm's) from elementary operations.

    Every process must have the same number of images, of one size. Uses the weights and buffers of `layer`.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
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

    def _normalised(self, x_BCHW: Tensor) -> Tensor:
        mean_C, variance_C = self._statistics(x_BCHW)
        scale_C = torch.rsqrt(variance_C + self.eps)
        if self.affine:
            scale_C = scale_C * self.weight
        y_BCHW = (x_BCHW - mean_C[:, None, None]) * scale_C[:, None, None]
        return y_BCHW + self.bias[:, None, None] if self.affine else y_BCHW

    def _statistics(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and biased variance of each channel over all processes' pixels, and update the running ones."""
        own_variance_C, own_mean_C = torch.var_mean(x_BCHW, (0, 2, 3), correction=0)
        means_RC, variances_RC = gather_with_gradient(torch.stack([own_mean_C, own_variance_C])).unbind(1)
        between_C, mean_C = torch.var_mean(means_RC, 0, correction=0)
        variance_C = variances_RC.mean(0) + between_C
        self._note(mean_C.detach(), variance_C.detach(), len(means_RC) * x_BCHW.numel() // x_BCHW.shape[1])
        return mean_C, variance_C

    @torch.no_grad()
    def _note(self, mean_C: Tensor, variance_C: Tensor, values: int) -> None:
        """Update the running statistics with one batch; with the unbiased variance, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C, share)
        self.running_var.lerp_(variance_C * (values / max(1, values - 1)), share)
