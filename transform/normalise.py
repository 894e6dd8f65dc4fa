"""Pixel values to what a network expects: done on the device, so that bytes travel instead of floats.

Torch is loaded by the first call with a tensor, so that programs without it can use the rest of this package.
"""

# Shapes: B images, H/W pixels, C channels: 1 of a grey image, 3 of RGB.
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from utils.arrays import Floats32, Image

if TYPE_CHECKING:
    from torch import Tensor

Level: TypeAlias = float | tuple[float, ...]
"""A value on a 0..1 scale: one for all channels, or one for each."""


@dataclass(frozen=True)
class Normalisation:
    """(x / 255 - mean) / std; `mean` and `std` of the pixel values on a 0..1 scale.

    With `by_maximum` the largest value of each image is first made 255, as U-2-Net's authors do; black stays black.
    """

    mean: Level
    std: Level
    by_maximum: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W] on any device to float32 [B, 1, H, W] on the same; uint8 [B, H, W, 3] to [B, 3, H, W]."""
        scaled_BCHW = channels_first(images)
        if self.by_maximum:
            scaled_BCHW.mul_(255 / scaled_BCHW.amax((1, 2, 3), keepdim=True).clamp_min(1))
        if not isinstance(self.mean, tuple) and not isinstance(self.std, tuple):
            return scaled_BCHW.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)
        planes = scaled_BCHW.unbind(1)
        means, stds = (per_channel(level, len(planes)) for level in (self.mean, self.std))
        # Python's numbers, not tensors: nothing has to be copied to the device, so no step waits for it.
        for plane_BHW, mean, std in zip(planes, means, stds, strict=True):
            plane_BHW.mul_(1 / (255 * std)).sub_(mean / std)
        return scaled_BCHW

    def of_array(self, image: Image) -> Floats32:
        """uint8 [H, W] to float32 [1, H, W], and uint8 [H, W, 3] to [3, H, W], by the arithmetic of `__call__`."""
        planes_CHW = np.ascontiguousarray(np.moveaxis(np.atleast_3d(image), 2, 0), np.float32)
        if self.by_maximum:
            planes_CHW *= np.float32(255) / max(planes_CHW.max(), np.float32(1))
        means, stds = (per_channel(level, len(planes_CHW)) for level in (self.mean, self.std))
        for plane_HW, mean, std in zip(planes_CHW, means, stds, strict=True):
            plane_HW *= np.float32(1 / (255 * std))
            plane_HW -= np.float32(mean / std)
        return planes_CHW


def channels_first(images: Tensor) -> Tensor:
    """uint8 [B, H, W] to float32 [B, 1, H, W]; uint8 [B, H, W, 3] to float32 [B, 3, H, W], contiguous."""
    import torch

    if images.ndim == 3:
        return images.unsqueeze(1).to(torch.float32)
    return images.movedim(3, 1).to(torch.float32, memory_format=torch.contiguous_format)


def per_channel(level: Level, channels: int) -> tuple[float, ...]:
    """A value for each channel."""
    return level if isinstance(level, tuple) else (level,) * channels
