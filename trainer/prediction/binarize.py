"""Make packed masks at the image's size from logits at the network's: bilinear resize, threshold and pack in one step.

Shapes: C classes, h/w the network's output, H/W the native image, K = ceil(C/8) bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from data.masks.binarize import Threshold, binarize_values, logits_of
from data.masks.device import pack_byte
from trainer.prediction.transfer import PendingMask, start_copy, to_device
from utils.arrays import Bytes, Floats32

OCTET = 8
"""Classes handled at a time on a device, one bit of a byte each."""


def binarize(logits_Chw: Tensor, size_hw: tuple[int, int], threshold: Threshold) -> Bytes:
    """Resize logits bilinearly (`F.interpolate`, corners not aligned) to `size_hw`, cut at `threshold`, and pack.

    Logits are compared with logit(threshold), which spares the sigmoid; they are packed where they are, so 1/32 of
    their bytes leave a device. A CPU may decide otherwise than torch if a resized logit equals the level up to the
    rounding of its last bit; torch's own result there depends on the memory layout and the processor.
    """
    return start_binarizing(logits_Chw, size_hw, logits_of(threshold, len(logits_Chw)))()


@torch.inference_mode()
def start_binarizing(values_Chw: Tensor, size_hw: tuple[int, int], levels_C: Floats32) -> PendingMask:
    """Begin what `binarize` does, for values of any kind: a pixel belongs to a class if its value exceeds the level."""
    if values_Chw.device.type != "cpu":
        return start_copy(packed_on_device(values_Chw, size_hw, levels_C))
    mask = binarize_values(values_Chw.float().contiguous().numpy(), size_hw, levels_C)
    return lambda: mask


def packed_on_device(values_Chw: Tensor, size_hw: tuple[int, int], levels_C: Floats32) -> Tensor:
    """The packed mask uint8[H, W, K] on the device of the values, made eight classes (one byte) at a time."""
    return pack_octets(resized(values_Chw, size_hw), to_device(levels_C, values_Chw.device))


def pack_octets(octets: Iterable[tuple[slice, Tensor]], levels_C: Tensor) -> Tensor:
    """Cut values float32[8, H, W] of eight classes at a time at the classes' levels; returns uint8[H, W, K]."""
    levels_C11 = levels_C[:, None, None]
    planes = [pack_byte((octet > levels_C11[classes])[None])[0] for classes, octet in octets]
    return torch.stack(planes, dim=-1)


def resized(values_Chw: Tensor, size_hw: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
    """Eight classes at a time, float32[8, H, W] at `size_hw`, so that the whole is never held."""
    for classes in octets_of(len(values_Chw)):
        yield classes, resized_octet(values_Chw[classes], size_hw)


def octets_of(classes: int) -> Iterator[slice]:
    """Yield eight classes at a time; the last may be fewer."""
    for start in range(0, classes, OCTET):
        yield slice(start, min(start + OCTET, classes))


def resized_octet(values_8hw: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Values of a few classes in float32 at `size_hw`; the tensor itself if it is so already."""
    octet = values_8hw.float()
    if tuple(octet.shape[-2:]) != size_hw:
        octet = F.interpolate(octet[None], size_hw, mode="bilinear", align_corners=False)[0]
    return octet
