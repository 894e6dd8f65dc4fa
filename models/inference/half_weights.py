"""A copy of a network that a GPU computes sooner in half precision: norms folded, and weights stored in that format."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from models.inference.fold_norms import fold_norms, is_plain_convolution, outputs_of
from models.precision import Precision

log = logging.getLogger(__name__)

ROUNDINGS = 32
"""By how many units of the format's last place outputs may differ on average; each layer rounds once more or less."""


def half_copy(network: nn.Module, example: Tensor, precision: Precision) -> nn.Module:
    """Return a copy of a network in evaluation mode to predict with under `precision.autocast()`; itself if that fails.

    Autocast would cast the weights of convolutions and linear layers for each batch; the copy stores them cast. Other
    layers keep theirs, so that autocast treats them as before. Norms are folded as far as possible. `example`: images
    as the network takes them, on its device; for them the copy must give the network's outputs up to rounding.
    """
    try:
        # No kernels are tried out for the example, and norms are compared in full precision: a GPU would otherwise
        # round to ten bits in each convolution.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            with precision.autocast():
                expected = outputs_of(network, example)
            half = with_half_weights(fold_norms(network, example), precision.dtype)
            with precision.autocast():
                fits = agree(outputs_of(half, example), expected, precision.dtype)
    except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
        log.debug("the network predicts as it is, for its copy does not: %s", error)
        return network
    return half if fits else network


def with_half_weights(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Cast the weights of a network, in place, that autocast would cast: those of convolutions and linear layers."""
    for layer in network.modules():
        if is_plain_convolution(layer) or type(layer) is nn.Linear:
            layer.to(dtype)
    return network


@torch.no_grad()
def agree(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> bool:
    """Whether outputs are finite and differ by the rounding of a format alone."""
    pairs = [(one.float(), other.float()) for one, other in zip(found, expected, strict=True)]
    differences = torch.stack([(one - other).abs().mean() for one, other in pairs])
    sizes = torch.stack([other.abs().mean() for _, other in pairs])
    return bool((differences <= ROUNDINGS * torch.finfo(dtype).eps * sizes).all())
