"""Grey values to what a network expects: done on the device, so that bytes travel instead of floats."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """(x / 255 - mean) / std; `mean` and `std` of the grey values on a 0..1 scale."""

    mean: float
    std: float

    def __call__(self, image_BHW: Tensor) -> Tensor:
        """uint8 [B, H, W] on any device to float32 [B, 1, H, W] on the same."""
        scaled = image_BHW.unsqueeze(1).to(torch.float32)
        return scaled.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)


CONTEST = Normalisation(mean=0.122, std=0.168)
"""Measured over the contest's training images."""

IMAGENET = Normalisation(mean=0.449, std=0.226)
"""The mean over the colours of ImageNet's usual constants (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225)."""

HALF = Normalisation(mean=0.5, std=0.5)
"""What EfficientNet-Lite was trained with: grey values in -1..1."""
