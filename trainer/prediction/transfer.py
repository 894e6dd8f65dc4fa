"""Copy arrays to a device and back while the processor goes on: through page-locked memory, and back on another stream.

On a CPU there is nothing to wait for. Torch keeps page-locked memory that is free again for the next copy, so two or
three buffers of each size are made in all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy.typing as npt
import torch
from torch import Tensor

from utils.arrays import Bytes

PendingMask: TypeAlias = Callable[[], Bytes]
"""Waits for a mask that a device makes, and returns it."""


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on `device`. The copy to a GPU is only queued, in the order of its other work."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def start_copy(tensor: Tensor) -> Callable[[], npt.NDArray[Any]]:
    """Begin to copy a tensor to the processor's memory; return a function that waits for the array and returns it.

    From a GPU it is copied beside the work that is queued after it.
    """
    if tensor.device.type != "cuda":
        return tensor.cpu().numpy
    stream = copy_stream(tensor.device)
    stream.wait_stream(torch.cuda.current_stream(tensor.device))
    with torch.cuda.stream(stream):
        on_host = torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)
        # Waiting leaves the core to the threads that decode images.
        arrived = torch.cuda.Event(blocking=True)
        arrived.record(stream)
    # Memory of the tensor is given to others only after the copy.
    tensor.record_stream(stream)

    def wait() -> npt.NDArray[Any]:
        arrived.synchronize()
        return on_host.numpy()

    return wait


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a GPU on which results are copied to the processor."""
    return torch.cuda.Stream(device)
