"""Make packed masks at the image's size from logits at the network's: bilinear resize, threshold and pack in one step.

Shapes: C classes, h/w the network's output, H/W the native image, K = ceil(C/8) bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from data.masks.binarize import Threshold, binarize_values, logits_of
from data.masks.device import pack_byte
from utils.arrays import Bytes, Floats32

OCTET = 8
"""Classes handled at a time on a device, one bit of a byte each."""


@torch.inference_mode()
def binarize(logits_Chw: Tensor, size_hw: tuple[int, int], threshold: Threshold) -> Bytes:
    """Resize logits bilinearly (`F.interpolate`, corners not aligned) to `size_hw`, cut at `threshold`, and pack.

    Logits are compared with logit(threshold), which spares the sigmoid; they are packed where they are, so 1/32 of
    their bytes leave a device. A CPU may decide otherwise than torch if a resized logit equals the level up to the
    rounding of its last bit; torch's own result there depends on the memory layout and the processor.
    """
    return binarize_at(logits_Chw, size_hw, logits_of(threshold, len(logits_Chw)))


def binarize_at(values_Chw: Tensor, size_hw: tuple[int, int], levels_C: Floats32) -> Bytes:
    """As `binarize`, for values of any kind: a pixel belongs to a class if its value exceeds the class's level."""
    if values_Chw.device.type == "cpu":
        return binarize_values(values_Chw.float().contiguous().numpy(), size_hw, levels_C)
    return binarize_on_device(values_Chw, size_hw, levels_C)


def binarize_on_device(values_Chw: Tensor, size_hw: tuple[int, int], levels_C: Floats32) -> Bytes:
    """Eight classes (one byte) at a time."""
    levels_C11 = torch.from_numpy(levels_C).to(values_Chw.device)[:, None, None]
    planes = []
    for classes, octet in resized(values_Chw, size_hw):
        planes.append(pack_byte((octet > levels_C11[classes])[None])[0])
    return torch.stack(planes, dim=-1).cpu().numpy()


def resized(values_Chw: Tensor, size_hw: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
    """Eight classes at a time, float32[8, H, W] at `size_hw`, so that the whole is never held."""
    for start in range(0, len(values_Chw), OCTET):
        classes = slice(start, min(start + OCTET, len(values_Chw)))
        octet = values_Chw[classes].float()
        if tuple(octet.shape[-2:]) != size_hw:
            octet = F.interpolate(octet[None], size_hw, mode="bilinear", align_corners=False)[0]
        yield classes, octet
