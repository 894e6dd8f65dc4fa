"""How a target mask is stored between reader and loss: as bits of many overlapping classes, or as an alpha of each."""

# Shapes: B batch, C classes, H/W pixels, K bytes of a stored mask for each pixel.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from data.masks.packed import pack, pack_planes
from utils.arrays import HALF_ALPHA, Bools, Packed, StoredMask

if TYPE_CHECKING:  # Torch takes seconds to import, and programs that only compare files need none.
    from torch import Tensor

Pack: TypeAlias = Callable[[Bools], StoredMask]
"""bool[C, H, W] → the same masks as they are stored."""
Harden: TypeAlias = Callable[[StoredMask], Packed]
"""A stored mask → the packed mask of the pixels that each class covers to at least half, for drawings and runs."""
Unpack: TypeAlias = "Callable[[Tensor, int], Tensor]"
"""Stored masks uint8[B, H, W, K] on any device and the number of classes → the target [B, C, H, W] on the same."""


@dataclass(frozen=True)
class Encoding:
    """One way to store masks. `soft`: values between 0 and 1 occur, so transforms move a mask like an image."""

    name: str
    soft: bool
    pack: Pack
    unpack: Unpack
    harden: Harden


def _unpack_bits(packed_BHWK: Tensor, classes: int) -> Tensor:
    """uint8[B, C, H, W] of 0 and 1, as bits until an operation needs numbers."""
    from utils.bit_tensor import BitTensor

    return BitTensor(packed_BHWK, classes)


def _same_bits(packed_HWK: StoredMask) -> Packed:
    return packed_HWK


def _harden_alpha(alpha_HWC: StoredMask) -> Packed:
    return pack(alpha_HWC >= HALF_ALPHA)


def _pack_alpha(masks_CHW: Bools) -> StoredMask:
    return np.ascontiguousarray(np.moveaxis(masks_CHW, 0, 2)).view(np.uint8) * np.uint8(255)


def _unpack_alpha(alpha_BHWC: Tensor, classes: int) -> Tensor:
    """float32[B, C, H, W] from 0 to 1."""
    import torch

    return alpha_BHWC.movedim(3, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


BITS = Encoding("bits", False, pack_planes, _unpack_bits, _same_bits)
"""uint8[H, W, ceil(C / 8)]: one bit a class, see `data.masks.packed`."""
ALPHA = Encoding("alpha", True, _pack_alpha, _unpack_alpha, _harden_alpha)
"""uint8[H, W, C]: how much of a pixel each class covers, 0 to 255."""
