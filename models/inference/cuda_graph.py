"""Replay a network's operations on a GPU as one CUDA graph: to start a thousand of them one by one takes longer.

A graph is recorded for each size of images that returns. It repeats what was done with one image, so it is compared
with the network on another image before it is used; a network that does otherwise each time is computed as usual.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from models.outputs import prediction_of

log = logging.getLogger(__name__)

Replay: TypeAlias = Callable[[Tensor], Tensor]
"""Images of one size → the network's prediction."""
Record: TypeAlias = Callable[[nn.Module, Tensor], Replay]

RECORD_AT = 3
"""At so many images of one size its graph is recorded: for fewer that takes longer than it saves."""
MOST_SIZES = 4
"""Sizes with a graph, each of which holds the memory that the network computes in."""
TOLERANCE = 1e-2
"""By how much a graph's outputs may differ from the network's on average, as a fraction of their size."""


class ReplayedNetwork(nn.Module):
    """A network that returns its prediction alone, replayed for sizes of images that return. Its weights must stay."""

    def __init__(self, network: nn.Module, record: Record | None = None) -> None:
        super().__init__()
        self.network = network
        self.record: Record | None = record or record_graph
        self.seen: Counter[torch.Size] = Counter()
        self.replays: dict[torch.Size, Replay] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits [B, C, H, W], by the graph of this size if that has been found right."""
        size = images.shape
        self.seen[size] += 1
        replay = self.replays.get(size)
        if replay is not None and self.seen[size] > RECORD_AT + 1:
            return replay(images)
        logits = prediction_of(self.network(images))
        if replay is not None:
            self._check(replay(images), logits)
        elif self.seen[size] == RECORD_AT and len(self.replays) < MOST_SIZES:
            self._record(images)
        return logits

    def _record(self, images: Tensor) -> None:
        """Record a graph for this size, unless an earlier one was not right."""
        if self.record is None:
            return
        try:
            self.replays[images.shape] = self.record(self.network, images)
        except (RuntimeError, ValueError, TypeError) as error:
            self._stop(str(error))

    def _check(self, found: Tensor, expected: Tensor) -> None:
        """Compare a graph with the network on an image that it was not recorded with."""
        difference, size = (found.float() - expected.float()).abs().mean(), expected.float().abs().mean()
        if not bool(difference <= TOLERANCE * size):
            self._stop(f"outputs for images of {tuple(expected.shape[-2:])} px differ")

    def _stop(self, reason: str) -> None:
        """Compute the network as usual from here on."""
        log.debug("no CUDA graphs: %s", reason)
        self.replays.clear()
        self.record = None


def record_graph(network: nn.Module, images: Tensor) -> Replay:
    """Record what a network does on a GPU with these images; return what does the same with others of their size.

    Raises `RuntimeError` if the network waits for the GPU, or if more than half of its memory is in use.
    """
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(images.device)
    if free < total / 2:
        raise RuntimeError("the graph would keep the memory that it computes in, and too little is free")
    refuse_waiting(network, images)
    given, graph = images.clone(), torch.cuda.CUDAGraph()
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    # Casts of weights belong into the graph, for the cache of autocast is emptied after this image. Threads that read
    # masks go on meanwhile.
    with (
        torch.cuda.graph(graph, capture_error_mode="thread_local"),
        torch.autocast("cuda", dtype, enabled=enabled, cache_enabled=False),
    ):
        logits = prediction_of(network(given))

    def replay(others: Tensor) -> Tensor:
        given.copy_(others)
        graph.replay()
        # The next replay writes to the same place.
        return logits.clone()

    return replay


def refuse_waiting(network: nn.Module, images: Tensor) -> None:
    """Raise `RuntimeError` if a network waits for the GPU while it computes, for example to read a number.

    A recording that fails in the middle may leave torch's memory of a GPU in disorder, so this is found before. No
    other thread may wait for the GPU through an operation of torch meanwhile.
    """
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        network(images)
    finally:
        torch.cuda.set_sync_debug_mode(before)
