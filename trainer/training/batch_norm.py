"""Batch-norm statistics for weights that have none of their own: averaged weights, and networks with folded norms."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.precision import Precision
from transform.normalise import Normalisation


@torch.no_grad()
def recompute_batch_norm(
    model: nn.Module,
    images: Iterable[Tensor],
    normalise: Normalisation,
    precision: Precision,
    kept: Collection[nn.Module] = (),
) -> None:
    """Set the running statistics to the mean over all batches of `images`, uint8 [B, H, W]; nothing else changes.

    Layers in `kept` have learnt with statistics that stayed as they were, so they stay now too.

    Averaged weights give other activations than the networks from which the averaged statistics come. Dropout and
    stochastic depth are off, as they are in prediction. The network is left in evaluation mode.
    """
    model.eval()
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    layers = [layer for layer in norms if layer not in kept]
    if not layers:
        return
    device = next(model.parameters()).device
    # Batch normalisation alone is put in training mode, and averages from zero.
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    hooks = [layer.register_forward_pre_hook(EqualShares()) for layer in layers]
    # A forward pass over each batch updates the statistics; its outputs are not needed.
    try:
        for batch_BHW in images:
            with precision.autocast():
                model(normalise(batch_BHW.to(device, non_blocking=True)))
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
    model.eval()


class EqualShares:
    """Gives a batch normalisation, before each batch, the momentum with which all its batches count alike.

    Torch does the same for the momentum None, but reads the number of batches from the device, in every layer.
    """

    def __init__(self) -> None:
        self.batches = 0

    def __call__(self, layer: _BatchNorm, _: tuple[Tensor, ...]) -> None:
        self.batches += 1
        layer.momentum = 1 / self.batches


@torch.no_grad()
def calibrate_batch_norm(
    model: nn.Module, images: Iterable[Tensor], normalise: Normalisation, precision: Precision
) -> None:
    """Set the running statistics to those of `images`, uint8 [B, H, W] or [B, H, W, 3], without changing the outputs.

    Scale and shift of each layer are changed by as much. In training mode, a network whose norms were folded then
    computes almost what it computes in evaluation mode. The network is left in evaluation mode.
    """
    model.eval()
    device = next(model.parameters()).device
    norms = (layer for layer in model.modules() if isinstance(layer, _BatchNorm))
    moments = {layer: Moments(layer) for layer in norms if layer.affine and layer.track_running_stats}
    hooks = [layer.register_forward_pre_hook(of_layer.include) for layer, of_layer in moments.items()]
    try:
        for batch in images:
            with precision.autocast():
                model(normalise(batch.to(device, non_blocking=True)))
    finally:
        for hook in hooks:
            hook.remove()
    for of_layer in moments.values():
        of_layer.apply()


class Moments:
    """Mean and mean square of what a batch normalisation is given, over all batches, [C]."""

    def __init__(self, layer: _BatchNorm) -> None:
        self.layer = layer
        self.of_batches: list[Tensor] = []
        """Variance and mean of each batch, [2, C], on the device, so that no layer waits for it."""

    def include(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Include one batch, [B, C, H, W]; called by the layer before it computes."""
        self.of_batches.append(torch.stack(torch.var_mean(inputs[0].float(), (0, 2, 3))))

    def mean(self) -> tuple[Tensor, Tensor]:
        """Return the mean and the mean square over all batches, float64 [C] on the CPU."""
        mean_C = square_C = torch.zeros(self.layer.num_features, dtype=torch.float64)
        for number, (variance_C, batch_C) in enumerate(torch.stack(self.of_batches).cpu().double(), start=1):
            mean_C = mean_C + (batch_C - mean_C) / number
            square_C = square_C + (variance_C + batch_C**2 - square_C) / number
        return mean_C, square_C

    def apply(self) -> None:
        """Give the layer these statistics, and the scale and shift with which its output stays the same."""
        layer = self.layer
        if not self.of_batches or layer.running_mean is None or layer.running_var is None:
            return
        mean_C, square_C = self.mean()
        own = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        weight, bias, old_mean, old_variance = (tensor.detach().cpu().double() for tensor in own)
        variance = (square_C - mean_C**2).clamp_min(0)
        slope = weight / (old_variance + layer.eps).sqrt()
        layer.running_mean.copy_(mean_C)
        layer.running_var.copy_(variance)
        layer.weight.copy_(slope * (variance + layer.eps).sqrt())
        layer.bias.copy_(bias + slope * (mean_C - old_mean))
