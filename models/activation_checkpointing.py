"""Gradient checkpointing for any network: blocks keep their inputs alone and recompute their activations in backward.

Loss, gradients and running statistics are the same as without it. Blocks are found by structure, not by name, so it
works for every architecture and encoder. A block may return several tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

Buffers = dict[str, Tensor | None]


def recompute_activations(model: nn.Module) -> nn.Module:
    """Make the blocks of a network's encoder and decoder recompute their activations; parameters keep their names."""
    for root in (cast(nn.Module, model.encoder), cast(nn.Module, model.decoder)):
        for block in _blocks_below(root):
            block.forward = CheckpointedForward(block)
    return model


@dataclass(frozen=True, eq=False)
class CheckpointedForward:
    """Replaces the `forward` of one block; a plain object, so that a copy of the network copies it too."""

    block: nn.Module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (self.block.training and torch.is_grad_enabled()):
            return self._forward(args, kwargs)
        return self._recomputed(tuple(_own_list(arg) for arg in args), kwargs)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _recomputed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the block with checkpointing; uncompiled, for `torch.compile` would count each batch twice."""
        return checkpoint(self._forward, args, kwargs, use_reentrant=False, context_fn=self._first_and_second_pass)

    def _forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return type(self.block).forward(self.block, *(_own_list(arg) for arg in args), **kwargs)

    def _first_and_second_pass(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _running_statistics_held(self.block)


def _own_list(arg: Any) -> Any:
    """Copy a list of tensors: dense blocks append to theirs between the two passes, which must get the same input."""
    return list(arg) if isinstance(arg, list) else arg


@contextmanager
def _running_statistics_held(block: nn.Module) -> Iterator[None]:
    """Let the second pass leave the buffers as they are: batch normalisation must not count one batch twice.

    Tracking cannot be switched off for it, since torch requires that both passes keep the same tensors. So the momentum
    of normalisations is 0 and they have no counter; other modules update copies.
    """
    norms = [(module, module.momentum) for module in block.modules() if isinstance(module, _NormBase)]
    held = [(module, dict(module._buffers)) for module in block.modules() if module._buffers]
    for module, buffers in held:
        module._buffers.update(_without_counter(buffers) if isinstance(module, _NormBase) else _copies(buffers))
    for module, _ in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in norms:
            module.momentum = momentum
        for module, buffers in held:
            module._buffers.update(buffers)


def _without_counter(buffers: Buffers) -> Buffers:
    return buffers | {"num_batches_tracked": None}


def _copies(buffers: Buffers) -> Buffers:
    return {name: None if value is None else value.clone() for name, value in buffers.items()}


def _blocks_below(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules with layers that are not lists of such modules: residual blocks, decoder blocks."""
    for child in module.children():
        if _holds_blocks(child):
            yield from _blocks_below(child)
        elif _has_layers(child) and next(child.parameters(), None) is not None:
            yield child


def _holds_blocks(module: nn.Module) -> bool:
    """Return whether this is a list of blocks, or a stage or encoder with an `nn.Sequential` of blocks."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return True
    if isinstance(module, nn.Sequential):
        return any(_has_layers(child) for child in module)
    return any(_is_row_of_blocks(child) for child in module.children())


def _is_row_of_blocks(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and sum(_has_layers(child) for child in module) >= 2


def _has_layers(module: nn.Module) -> bool:
    return next(module.children(), None) is not None
