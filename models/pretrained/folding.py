"""Batch normalisation that was folded into convolutions, as in files for inference: how it is unfolded and recognised.

y = (x - mean) / sqrt(variance + eps) * weight + bias is linear in evaluation mode, so exporters merge it into the
convolution before it. Unfolded again, the layer leaves x as it is: its mean is 0 and its variance 1 - eps. In training
mode, however, such a layer normalises: the network becomes another one.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.pretrained.files import Tensors
from utils.errors import UserError
from utils.onnx_file import Convolution, OnnxNetwork


class ImageNetwork(nn.Module):
    """A network that says how many channels its images have."""

    channels: int


SIDE_PX = 64
"""Side of the image with which the order of layers is found."""


def has_folded_norms(network: nn.Module) -> bool:
    """Return whether a batch normalisation of the network leaves its input as it is, as after `unfolded`."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    return any(
        layer.running_var is not None and torch.equal(layer.running_var.cpu(), identity_of(layer)["running_var"])
        for layer in layers
    )


def unfolded(stored: OnnxNetwork, network: ImageNetwork) -> Tensors:
    """Return the tensors of a stored network under the names of `network`.

    If the file has the network's own names, these count. Else its convolutions are those of the network in the order of
    computation. Raises `UserError` if they do not agree.
    """
    wanted = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    if wanted <= stored.tensors.keys():
        return {name: torch.from_numpy(stored.tensors[name]) for name in wanted}
    if getattr(network, "takes_any_size", False):
        raise UserError("has other names than the network, whose layers have no fixed order")
    layers = layers_in_order(network)
    names = [name for name, layer in layers if isinstance(layer, nn.Conv2d)]
    if len(names) != len(stored.convolutions):
        raise UserError(f"has {len(stored.convolutions)} convolutions, but the network has {len(names)}")
    tensors: dict[str, Tensor] = {}
    convolutions = iter(stored.convolutions)
    for name, layer in layers:
        own = _folded(next(convolutions), name, layer) if isinstance(layer, nn.Conv2d) else identity_of(layer)
        tensors |= {f"{name}.{part}": value for part, value in own.items()}
    return tensors


def identity_of(layer: _BatchNorm) -> dict[str, Tensor]:
    """The tensors of a batch normalisation that leaves its input as it is."""
    count = layer.num_features
    return {
        "weight": torch.ones(count),
        "bias": torch.zeros(count),
        "running_mean": torch.zeros(count),
        "running_var": torch.ones(count) - layer.eps,
    }


def layers_in_order(network: ImageNetwork) -> list[tuple[str, nn.Conv2d | nn.BatchNorm2d]]:
    """Find the convolutions and batch normalisations in the order in which training computes them, with their names."""
    copied = copy.deepcopy(network).train()
    order: list[tuple[str, nn.Conv2d | nn.BatchNorm2d]] = []
    for name, layer in copied.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)):
            layer.register_forward_hook(lambda layer, *_, name=name: order.append((name, layer)))
    with torch.no_grad():
        copied(torch.zeros(2, network.channels, SIDE_PX, SIDE_PX, device=next(copied.parameters()).device))
    return order


def _folded(stored: Convolution, name: str, layer: nn.Conv2d) -> dict[str, Tensor]:
    if stored.dilation != layer.dilation[0]:
        raise UserError(f"has dilation {stored.dilation} at '{name}', but the network has {layer.dilation[0]}")
    bias = torch.zeros(layer.out_channels) if stored.bias is None else torch.from_numpy(stored.bias)
    return {"weight": torch.from_numpy(stored.weight), "bias": bias}
