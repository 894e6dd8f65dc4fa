"""Merge batch normalisations into the convolutions before them, for a network that only predicts.

In evaluation mode a batch normalisation is linear, so it can be part of the convolution whose output it takes: one pass
over a feature map less, and no call. `models.pretrained.folding` is about files in which this was done.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from models.outputs import Outputs
from models.sync_batch_norm import SharedBatchNorm

TOLERANCE = 1e-3
"""By how much outputs may differ after folding, as a fraction of the largest: rounding makes 1e-5 of 300 layers."""

ONLY_PAD = ("Conv2dSame", "Conv2dStaticSamePadding")
"""Kinds of convolution of timm and EfficientNet that pad their input as TensorFlow does and change nothing else."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


class Pair(NamedTuple):
    """A convolution and the batch normalisation that alone takes its output, by their names in a network."""

    convolution: str
    norm: str


@torch.no_grad()
def fold_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy of a network in evaluation mode with its batch normalisations folded, as far as that is possible.

    A norm stays if no convolution alone makes its input, if something else uses that too, if either works more than
    once for an image, or if it does more than normalise. `example`: images as the network takes them, of any content.
    If the outputs for it differ, or the copy fails, nothing is folded.
    """
    folded = copy.deepcopy(network)
    pairs, expected = find_pairs(folded, example)
    for pair in pairs:
        _fold(folded, pair)
    return folded if _agree(folded, example, expected) else copy.deepcopy(network)


def outputs_of(network: nn.Module, images: Tensor) -> list[Tensor]:
    """All outputs of a network, in order."""
    outputs: Outputs = network(images)
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def find_pairs(network: nn.Module, example: Tensor) -> tuple[list[Pair], list[Tensor]]:
    """Compute `example` once; return the pairs that can be folded, and the outputs."""
    convolutions = {layer: name for name, layer in network.named_modules() if is_plain_convolution(layer)}
    norms = {layer: name for name, layer in network.named_modules() if _is_norm(layer)}
    made: dict[int, tuple[nn.Module, Tensor]] = {}
    taken: list[tuple[nn.Module, nn.Module]] = []
    calls: Counter[nn.Module] = Counter()
    uses = Uses()

    def note_call(layer: nn.Module, given: tuple[Any, ...]) -> None:
        calls[layer] += 1
        maker = made.get(id(given[0])) if given else None
        if layer in norms and maker is not None:
            taken.append((maker[0], layer))

    def note_output(layer: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        # The output is kept, so that no other tensor gets its id; an earlier one may have had it.
        if layer in convolutions:
            made[id(output)] = layer, output
            uses.counts[id(output)] = 0

    layers = [*convolutions, *norms]
    hooks = [layer.register_forward_pre_hook(note_call) for layer in layers]
    hooks += [layer.register_forward_hook(note_output) for layer in layers]
    try:
        with uses:
            outputs = outputs_of(network, example)
    finally:
        for hook in hooks:
            hook.remove()
    once = {layer for layer, count in calls.items() if count == 1}
    alone = {layer for layer, output in made.values() if uses.counts[id(output)] == 1}
    fitting = [(before, norm) for before, norm in taken if {before, norm} <= once and before in alone]
    return [Pair(convolutions[before], norms[norm]) for before, norm in fitting], outputs


class Uses(TorchFunctionMode):
    """Counts in how many functions that return tensors each tensor is used."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if any(isinstance(each, Tensor) for each in _flat(result)):
            self.counts.update({id(each) for each in _flat([args, kwargs or {}]) if isinstance(each, Tensor)})
        return result


def is_plain_convolution(layer: nn.Module) -> bool:
    """Whether the layer is a convolution that uses its own weights as they are; other kinds, and hooks, change them."""
    if isinstance(layer, nn.ConvTranspose2d) and layer.groups != 1:
        return False
    plain = type(layer) in (nn.Conv2d, nn.ConvTranspose2d) or type(layer).__name__ in ONLY_PAD
    return plain and not _has_hooks(layer)


def _is_norm(layer: nn.Module) -> bool:
    """Whether the layer normalises by stored statistics; timm's apply what `drop` and `act` hold afterwards."""
    if not isinstance(layer, _BatchNorm) or layer.training or layer.running_mean is None or _has_hooks(layer):
        return False
    plain = type(layer) in (nn.BatchNorm2d, nn.SyncBatchNorm, SharedBatchNorm)
    return plain or {name for name, _ in layer.named_children()} == {"drop", "act"}


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _fold(network: nn.Module, pair: Pair) -> None:
    """Put a norm into its convolution; what it applies afterwards takes its place."""
    convolution = cast(Convolution, network.get_submodule(pair.convolution))
    norm = cast(_BatchNorm, network.get_submodule(pair.norm))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(convolution, nn.ConvTranspose2d),
    )
    convolution.weight, convolution.bias = weight, bias
    after = [child for child in norm.children() if type(child) is not nn.Identity]
    parent, _, name = pair.norm.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Sequential(*after) if after else nn.Identity())


def _agree(folded: nn.Module, example: Tensor, expected: list[Tensor]) -> bool:
    """Whether a network gives these outputs, up to rounding."""
    try:
        found = outputs_of(folded, example)
    except (AttributeError, RuntimeError, TypeError):  # something asks a norm that is gone for more than its output
        return False
    largest = torch.stack([each.abs().amax() for each in expected])
    differences = torch.stack([(one - other).abs().amax() for one, other in zip(found, expected, strict=True)])
    return bool((differences <= TOLERANCE * largest).all())


def _flat(values: Any) -> Iterator[Any]:
    """Yield what nested lists, tuples and mappings hold."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from _flat(value)
    else:
        yield values
