"""A step through any loss stays within a few times the logits' own bytes."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from loss import LOSSES, Loss
from loss.base import PixelSumLoss
from loss.mix import WeightedSum
from loss.pixel_blocks import blocks

NEEDED: dict[str, dict[str, Any]] = {
    "mix": {"parts": [{"loss": name} for name in ("bce", "dice", "jaccard", "focal", "tversky")]},
    "deep_supervision": {"loss": "bce"},
}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that are alive among the results of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, int] = {}
        self.tensors: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                self._watch(tensor)
        return result

    def _watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        self.storages[address] = storage.nbytes()
        self.tensors[address] = self.tensors.get(address, 0) + 1
        weakref.finalize(tensor, self._release, address)
        self.peak = max(self.peak, sum(self.storages.values()))

    def _release(self, address: int) -> None:
        self.tensors[address] -= 1
        if not self.tensors[address]:
            del self.storages[address]


def build(name: str) -> Loss:
    from utils.config.component import component

    loss: Loss = component("loss", lambda: LOSSES).read({"name": name, **NEEDED.get(name, {})}).build()
    return loss


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("name", [name for name in LOSSES if isinstance(build(name), (PixelSumLoss, WeightedSum))])
def test_a_step_stays_within_four_times_the_logits(
    name: str, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    logits = torch.zeros(2, 5, 128, 128, dtype=dtype).contiguous(memory_format=memory_format)
    target = torch.zeros(logits.shape, dtype=torch.uint8)
    own = logits.nbytes
    with LiveBytes() as live:
        loss = build(name)(logits.requires_grad_(), target)
        (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.stride() == logits.stride()
    assert live.peak >= 2 * own + target.nbytes, "logits, gradient and target themselves must have been seen"
    assert live.peak <= 4 * own


@pytest.mark.parametrize(
    "logits",
    [
        torch.empty(2, 5, 64, 48),
        torch.empty(2, 5, 64, 48).contiguous(memory_format=torch.channels_last),
        torch.empty(1, 1, 300, 301),
        torch.empty(3, 7, 1, 1),
        torch.empty(2, 4, 40, 40)[:, 1:3, 5:30, ::2],
    ],
    ids=["nchw", "nhwc", "one class", "one pixel", "a crop"],
)
def test_blocks_cover_each_pixel_once(logits: Tensor) -> None:
    covered = torch.zeros_like(logits)
    for index in blocks(logits):
        covered[index] += 1
    assert (covered == 1).all()
