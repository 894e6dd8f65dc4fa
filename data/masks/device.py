"""Pack masks with torch, so that bits instead of floats are copied from the device; `utils.bit_tensor` unpacks them."""

from __future__ import annotations

import torch
from torch import Tensor

# Shapes: B batch, C classes, K = ceil(C/8) bytes, H/W pixels.


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
