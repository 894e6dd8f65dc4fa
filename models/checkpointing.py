"""Gradient checkpointing for any network: blocks keep their inputs alone and compute their activations a second time.

Loss, gradients and running statistics are the same as without it. Blocks are found by structure, not by name, so that
it serves every architecture and encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_activations(model: nn.Module) -> nn.Module:
    """Make the blocks of a network's encoder and decoder recompute their activations; parameters keep their names."""
    for root in (cast(nn.Module, model.encoder), cast(nn.Module, model.decoder)):
        for block in _blocks_below(root):
            block.forward = CheckpointedForward(block)
    return model


@dataclass(frozen=True, eq=False)
class CheckpointedForward:
    """Stands in for one block's `forward`; a plain object, so that copies of the network copy it too."""

    block: nn.Module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward = type(self.block).forward
        if not (self.block.training and torch.is_grad_enabled()):
            return forward(self.block, *args, **kwargs)
        return checkpoint(
            forward, self.block, *args, use_reentrant=False, context_fn=self._first_and_second_pass, **kwargs
        )

    def _first_and_second_pass(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _running_statistics_held(self.block)


@contextmanager
def _running_statistics_held(block: nn.Module) -> Iterator[None]:
    """Batch normalisation uses the batch's statistics as before, but does not add them to its running ones again."""
    tracking = [m for m in block.modules() if getattr(m, "track_running_stats", False)]
    for module in tracking:
        module.track_running_stats = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True  # type: ignore[assignment]


def _blocks_below(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost modules with several layers that are not mere lists of such: residual blocks, decoder blocks."""
    for child in module.children():
        if _holds_blocks(child):
            yield from _blocks_below(child)
        elif _has_layers(child) and next(child.parameters(), None) is not None:
            yield child


def _holds_blocks(module: nn.Module) -> bool:
    """A list of blocks, or a stage or encoder whose blocks stand in an `nn.Sequential` of its own."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return True
    if isinstance(module, nn.Sequential):
        return any(_has_layers(child) for child in module)
    return any(_is_row_of_blocks(child) for child in module.children())


def _is_row_of_blocks(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and sum(_has_layers(child) for child in module) >= 2


def _has_layers(module: nn.Module) -> bool:
    return next(module.children(), None) is not None
