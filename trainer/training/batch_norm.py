"""Batch-norm statistics for averaged weights, which were not trained and have none of their own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.precision import Precision
from transform.normalise import Normalisation


@torch.no_grad()
def recompute_batch_norm(
    model: nn.Module, images: Iterable[Tensor], normalise: Normalisation, precision: Precision
) -> None:
    """Set the running statistics to the mean over all batches of `images`, uint8 [B, H, W]; nothing else changes.

    Averaged weights give other activations than the networks from which the averaged statistics come. Dropout and
    stochastic depth are off, as they are in prediction. The network is left in evaluation mode.
    """
    model.eval()
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers:
        return
    device = next(model.parameters()).device
    # Batch normalisation alone is put in training mode, and averages from zero.
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # for torch this means the plain mean over all batches
        layer.train()
    # A forward pass over each batch updates the statistics; its outputs are not needed.
    for batch_BHW in images:
        with precision.autocast():
            model(normalise(batch_BHW.to(device, non_blocking=True)))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.eval()
