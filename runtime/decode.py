"""From logits to masks at native size, in NumPy: the arithmetic of `trainer.prediction.decode`.

Shapes: C classes, h/w the network's output, H/W the native image, K bytes of a stored mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.image import is_large
from data.masks.binarize import Threshold, binarize_values, logits_of
from data.masks.postprocess import PostProcess, postprocess_mask
from data.refine import Refine, refine_mask
from data.task import Task
from utils.arrays import Floats32, Image, Size, StoredMask
from utils.system.malloc import return_freed_memory

ROUNDED_AT_ONCE = 1 << 18
"""Values that are rounded at a time."""


@dataclass(frozen=True)
class Decoder:
    """Makes masks in a task's encoding. `threshold`, `postprocess`: of hard masks; `refine`: of soft ones."""

    threshold: Threshold
    postprocess: tuple[PostProcess, ...]
    refine: tuple[Refine, ...]

    def decode(self, task: Task, logits_Chw: Floats32, image: Image) -> StoredMask:
        """Return the mask uint8[H, W, K] of an image at native size."""
        size_hw = (image.shape[0], image.shape[1])
        if task.encoding.soft:
            planes_CHW = probabilities(logits_Chw, size_hw)
            refine_mask(image, np.moveaxis(planes_CHW, 0, 2), self.refine)
            return shrunk_to_alpha(planes_CHW) if is_large(size_hw) else as_alpha(np.moveaxis(planes_CHW, 0, 2))
        mask = binarize_values(logits_Chw, size_hw, logits_of(self.threshold, len(logits_Chw)))
        return postprocess_mask(mask, len(logits_Chw), self.postprocess)


def probabilities(logits_Chw: Floats32, size_hw: Size) -> Floats32:
    """Return the probabilities float32[C, H, W]: logits are resized bilinearly, corners not aligned, as torch does."""
    planes_CHW = np.empty((len(logits_Chw), *size_hw), np.float32)
    for plane_HW, logits_hw in zip(planes_CHW, logits_Chw, strict=True):
        cv2.resize(logits_hw, size_hw[::-1], dst=plane_HW, interpolation=cv2.INTER_LINEAR)
        # 1 / (1 + exp(-x)), in place; exp of more than 88 is too large for float32.
        np.negative(plane_HW, out=plane_HW).clip(max=80, out=plane_HW)
        np.exp(plane_HW, out=plane_HW)
        np.reciprocal(np.add(plane_HW, 1, out=plane_HW), out=plane_HW)
    return planes_CHW


def resized(values_Chw: Floats32, size_hw: Size) -> Floats32:
    """Return values float32[C, h, w] at another size; as they are if they have it."""
    if values_Chw.shape[1:] == size_hw:
        return values_Chw
    planes = [cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for plane in values_Chw]
    return np.stack(planes)


def as_alpha(probabilities_HWC: Floats32) -> StoredMask:
    """Return probabilities in 0..1 as uint8[H, W, C] of 0..255, rounded to the nearest."""
    alpha = np.empty(probabilities_HWC.shape, np.uint8)
    _round(probabilities_HWC, alpha)
    return alpha


def shrunk_to_alpha(planes_CHW: Floats32) -> StoredMask:
    """Return probabilities float32[C, H, W], of which no view exists, as `as_alpha` does, in a quarter of their memory.

    That of the given array is what is returned, and the rest is freed.
    """
    shape, size = planes_CHW.shape, planes_CHW.size
    planes_CHW.resize(size, refcheck=False)
    _round(planes_CHW, planes_CHW.view(np.uint8)[:size])
    planes_CHW.resize(-(-size // planes_CHW.itemsize), refcheck=False)
    return_freed_memory()
    return np.moveaxis(planes_CHW.view(np.uint8)[:size].reshape(shape), 0, 2)


def _round(values: Floats32, alpha: StoredMask) -> None:
    """Write values in 0..1 as 0..255; both may begin at the same address, since bytes are never ahead of floats."""
    step = max(1, ROUNDED_AT_ONCE * len(values) // values.size)
    for place in range(0, len(values), step):
        part = slice(place, place + step)
        alpha[part] = (values[part] * np.float32(255) + np.float32(0.5)).clip(0, 255)
