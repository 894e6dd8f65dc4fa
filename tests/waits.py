"""Counts the numbers that a program reads from tensors: on a GPU each reading waits for all work before it."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NumbersRead(TorchDispatchMode):
    """Counts `float(tensor)`, `bool(tensor)` and the like of everything that runs in it, of torch's own code too."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))
