"""Packed masks on the device: the torch twins of `data.masks`, so that bits, not floats, cross the bus."""

from __future__ import annotations

import torch
from torch import Tensor

# Shapes: B batch, C classes, K = ceil(C/8) bytes, H/W pixels.


def unpack_masks(packed_BHWK: Tensor, classes: int, dtype: torch.dtype = torch.bool) -> Tensor:
    """uint8[B, H, W, K] → [B, C, H, W] of 0 and 1 in `dtype`, contiguous, on the same device.

    Eight classes at a time, so that little more than the result is held.
    """
    batch, height, width, count = packed_BHWK.shape
    masks = torch.empty((batch, classes, height, width), dtype=dtype, device=packed_BHWK.device)
    shifts = torch.arange(8, dtype=torch.uint8, device=packed_BHWK.device).view(8, 1, 1)
    for index in range(count):
        group = masks[:, 8 * index : 8 * index + 8]
        group.copy_((packed_BHWK[..., index].unsqueeze(1) >> shifts[: group.shape[1]]) & 1)
    return masks


def pack_masks(masks_BCHW: Tensor) -> Tensor:
    """bool[B, C, H, W] → uint8[B, H, W, K], on the same device."""
    return torch.stack([pack_byte(group) for group in torch.split(masks_BCHW, 8, dim=1)], dim=-1)


def pack_byte(masks_BCHW: Tensor) -> Tensor:
    """bool[B, C, H, W] of at most eight classes → uint8[B, H, W], byte c//8 of a packed mask.

    For who makes the masks a few classes at a time: the bytes of successive eights, stacked last, are the packed mask.
    """
    shifts = torch.arange(masks_BCHW.shape[1], dtype=torch.uint8, device=masks_BCHW.device).view(-1, 1, 1)
    return (masks_BCHW.to(torch.uint8) << shifts).sum(dim=1, dtype=torch.uint8)
