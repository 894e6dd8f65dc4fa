"""A result of a GPU, read by the processor without making either wait for the other."""

from __future__ import annotations

import torch
from torch import Tensor


class HostCopy:
    """A copy in main memory of a tensor that a GPU may still be computing.

    It is made in the order of the GPU's work, so what follows may overwrite the tensor. On any other device the copy
    is there at once.

    `yields`: leave the core to other threads while `read` waits, which then notices a little later that it can go on.
    """

    def __init__(self, tensor: Tensor, *, yields: bool = False) -> None:
        self.copied: torch.cuda.Event | None = None
        if tensor.device.type != "cuda":
            self.tensor = tensor.detach().to("cpu", copy=True)
            return
        # Only a copy into pinned memory is not waited for.
        pinned = torch.empty_like(tensor, device="cpu", pin_memory=True)
        self.tensor = pinned.copy_(tensor.detach(), non_blocking=True)
        self.copied = torch.cuda.Event(blocking=yields)
        self.copied.record()

    def is_there(self) -> bool:
        """Whether the copy is complete, so that `read` does not wait."""
        return self.copied is None or self.copied.query()

    def read(self) -> Tensor:
        """Return the copy; wait for the GPU if it is not complete."""
        if self.copied is not None:
            self.copied.synchronize()
        return self.tensor
