"""From logits to masks at native size, in NumPy: the arithmetic of `trainer.prediction.decode`.

Shapes: C classes, h/w the network's output, H/W the native image, K bytes of a stored mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.masks.binarize import Threshold, binarize_values, logits_of
from data.masks.postprocess import PostProcess, postprocess_mask
from data.refine import Refine, refine_mask
from data.task import Task
from utils.arrays import Floats32, Image, Size, StoredMask

BAND_ROWS = 256
"""Rows whose probabilities are computed at a time."""


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
            return as_alpha(refine_mask(image, np.moveaxis(probabilities(logits_Chw, size_hw), 0, 2), self.refine))
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
    for top in range(0, len(alpha), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        alpha[rows] = (probabilities_HWC[rows] * np.float32(255) + np.float32(0.5)).clip(0, 255)
    return alpha
