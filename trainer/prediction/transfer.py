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
from utils.host_copy import HostCopy

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
        copy = HostCopy(tensor, yields=True)  # to the threads that decode images
    # Memory of the tensor is given to others only after the copy.
    tensor.record_stream(stream)
    return lambda: copy.read().numpy()


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a GPU on which results are copied to the processor."""
    return torch.cuda.Stream(device)
