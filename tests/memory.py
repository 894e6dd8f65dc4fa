"""Counts the memory of tensors, also of those on the device "meta", which have no content and take no memory."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512
"""Bytes to which torch's allocator for GPUs rounds up."""


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that are made in it, of torch's own code too, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.include(leaf)
        return result

    def include(self, tensor: Tensor) -> None:
        """Count the memory of a tensor once, until all tensors that share it are gone."""
        storage = tensor.untyped_storage()
        if storage._cdata in self.sizes:
            return
        self.sizes[storage._cdata] = size = -(-storage.nbytes() // BLOCK) * BLOCK
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, storage: int) -> None:
        self.alive -= self.sizes.pop(storage)
