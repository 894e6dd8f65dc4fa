"""A small network with the output of a trained one, to measure the time of the code around it."""

from __future__ import annotations

import time

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.material import CLASSES, Material, mask_of
from data.masks.packed import unpack_planes
from data.sample import Sample
from models import MODELS

SHRINK = 4
"""Native pixels for one pixel of the network's input, in each direction: 512 for 2048, a usual size."""


class StandIn(nn.Module):
    """Computes a small network and then returns the output of a good one.

    An untrained network returns noise, whose masks have a thousand times more runs than real ones. So its output is
    replaced by smooth logits around the true masks, image after image from `start` on. They are integers, so that the
    sum in a resize does not depend on the order of its terms.
    """

    def __init__(self, body: nn.Module, answers_NChw: Tensor) -> None:
        super().__init__()
        self.body, self.answers_NChw = body, answers_NChw
        self.turn, self.spent_s = 0, 0.0

    def start(self) -> StandIn:
        """Begin again with the first image, and set `spent_s`, the network's own time, to 0."""
        self.turn, self.spent_s = 0, 0.0
        return self

    def forward(self, images_BXhw: Tensor) -> Tensor:
        """Float [B, 1 or 3, h, w] to logits [B, C, h, w]."""
        begun_s = time.perf_counter()
        self.body(images_BXhw[:, :1])
        turns = torch.arange(self.turn, self.turn + len(images_BXhw)) % len(self.answers_NChw)
        self.turn += len(images_BXhw)
        logits = self.answers_NChw[turns].float()
        self.spent_s += time.perf_counter() - begun_s
        return logits


def stand_in(material: Material, *, moved_px: int = 0) -> StandIn:
    """A stand-in with the masks of `material`'s samples, in their order, moved by `moved_px` along the rows."""
    answers = [answer(sample, material.size_hw) for sample in material.samples]
    return StandIn(smallest_network(), torch.stack(answers).roll(moved_px, dims=-1)).eval()


def smallest_network() -> nn.Module:
    """Three convolutions that take a few milliseconds per image, so that the code around them dominates."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
        nn.Conv2d(32, CLASSES, 3, padding=1),
        nn.Upsample(scale_factor=4, mode="bilinear"),
    )


def small_network() -> nn.Module:
    """An untrained U-Net with a MobileNetV3 of half width, for grey images and 29 classes."""
    network: nn.Module = MODELS["unet"](CLASSES, 1, encoder="tu-mobilenetv3_small_050", encoder_weights=None)
    return network


def answer(sample: Sample, native_hw: tuple[int, int], input_hw: tuple[int, int] | None = None) -> Tensor:
    """int8[C, h, w], -8..8: how many sixteenths of each input pixel belong to the class, less 8.

    `input_hw`: the size of the network's input; None: a quarter of the native one.
    """
    size_hw = input_hw or (native_hw[0] // SHRINK, native_hw[1] // SHRINK)
    planes = unpack_planes(mask_of(sample, native_hw), CLASSES).view(np.uint8)
    return torch.from_numpy(np.stack([_covered(plane, size_hw) for plane in planes]))


def _covered(plane: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    share = cv2.resize(plane * np.float32(SHRINK * SHRINK), size_hw[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(share) - SHRINK * SHRINK // 2, np.int8)
