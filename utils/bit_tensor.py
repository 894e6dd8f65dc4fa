"""Masks as bits that can be given to any code as a tensor: it is unpacked when an operation asks for its numbers.

Bit c % 8 of byte c // 8 of a pixel is mask c, as in `data.masks.packed`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

# Shapes: B batch, C masks of a pixel, K = ceil(C/8) bytes, H/W pixels.


class BitTensor(Tensor):
    """A tensor uint8[B, C, H, W] of 0 and 1 that takes an eighth of the memory: `packed_BHWK` is all that it holds.

    Code that reads bits takes them from `packed_BHWK`. To all other code it is a tensor like any: the first operation
    unpacks it, later ones use the same result, and what they return are ordinary tensors. (As of any subclass, torch
    makes no array or list of it directly.)
    """

    packed_BHWK: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, packed_BHWK: Tensor, masks: int) -> BitTensor:
        batch, height, width, size = packed_BHWK.shape
        if packed_BHWK.dtype != torch.uint8 or not 0 < masks <= 8 * size:
            raise ValueError(f"expected {masks} masks as bits of uint8, got {size} values of {packed_BHWK.dtype}")
        made: BitTensor = Tensor._make_wrapper_subclass(
            cls, (batch, masks, height, width), dtype=torch.uint8, device=packed_BHWK.device
        )
        return made

    def __init__(self, packed_BHWK: Tensor, masks: int) -> None:
        self.packed_BHWK = packed_BHWK
        self._numbers: Tensor | None = None

    def unpacked(self, *, channels_last: bool = False) -> Tensor:
        """Return uint8[B, C, H, W], in the layout of the first call; it is kept as long as this tensor."""
        if self._numbers is None:
            self._numbers = unpack_bits(self.packed_BHWK, self.shape[1], channels_last=channels_last)
        return self._numbers

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"BitTensor({list(self.shape)}, device={str(self.device)!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        plain_args, plain_kwargs = tree_map_only(cls, cls.unpacked, (args, kwargs or {}))
        return func(*plain_args, **plain_kwargs)


def unpack_bits(packed_BHWK: Tensor, masks: int, *, channels_last: bool = False) -> Tensor:
    """Unpack uint8[B, H, W, K] into uint8[B, C, H, W] of 0 and 1, by two operations, on the same device.

    The masks of one pixel lie side by side for `channels_last`, else the pixels of one mask; the result is a view that
    leaves out the last byte's unused bits.
    """
    bits = torch.arange(8, dtype=torch.uint8, device=packed_BHWK.device)
    if channels_last:
        every = (packed_BHWK[..., None] >> bits).bitwise_and_(1).flatten(3).movedim(3, 1)
    else:
        bytes_BKHW = packed_BHWK.movedim(3, 1).contiguous()
        every = (bytes_BKHW[:, :, None] >> bits[:, None, None]).bitwise_and_(1).flatten(1, 2)
    return every[:, :masks]
