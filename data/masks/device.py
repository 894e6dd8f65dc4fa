"""Pack and unpack masks with torch, so that bits instead of floats are copied to and from the device."""

from __future__ import annotations

import torch
from torch import Tensor

# Shapes: B batch, C classes, K = ceil(C/8) bytes, H/W pixels.


def unpack_masks(packed_BHWK: Tensor, classes: int, dtype: torch.dtype = torch.bool) -> Tensor:
    """Unpack uint8[B, H, W, K] into [B, C, H, W] of 0 and 1 in `dtype`, contiguous, on the same device.

    It works class by class, so that it needs little more memory than the result.
    """
    batch, height, width, _ = packed_BHWK.shape
    bytes_BKHW = packed_BHWK.movedim(3, 1).contiguous()
    masks = torch.empty((batch, classes, height, width), dtype=dtype, device=packed_BHWK.device)
    for index in range(classes):
        masks[:, index] = (bytes_BKHW[:, index // 8] >> (index % 8)) & 1
    return masks


def pack_masks(masks_BCHW: Tensor) -> Tensor:
    """Pack bool[B, C, H, W] into uint8[B, H, W, K], on the same device."""
    return torch.stack([pack_byte(group) for group in torch.split(masks_BCHW, 8, dim=1)], dim=3)


def pack_byte(masks_BCHW: Tensor) -> Tensor:
    """Pack bool[B, C, H, W] of at most eight classes into uint8[B, H, W], one byte of a packed mask.

    For masks that are made a few classes at a time: the bytes of each eight classes, stacked as last axis, are the
    packed mask.
    """
    bits = torch.arange(masks_BCHW.shape[1], dtype=torch.uint8, device=masks_BCHW.device)
    return (masks_BCHW * (1 << bits)[:, None, None]).sum(1, dtype=torch.uint8)
