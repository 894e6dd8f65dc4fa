"""Pixel values to what a network expects: done on the device, so that bytes travel instead of floats."""

# Shapes: B images, H/W pixels, C channels: 1 of a grey image, 3 of RGB.
from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
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


def channels_first(images: Tensor) -> Tensor:
    """uint8 [B, H, W] to float32 [B, 1, H, W]; uint8 [B, H, W, 3] to float32 [B, 3, H, W], contiguous."""
    if images.ndim == 3:
        return images.unsqueeze(1).to(torch.float32)
    return images.movedim(3, 1).to(torch.float32, memory_format=torch.contiguous_format)


def per_channel(level: Level, channels: int) -> tuple[float, ...]:
    """A value for each channel."""
    return level if isinstance(level, tuple) else (level,) * channels
