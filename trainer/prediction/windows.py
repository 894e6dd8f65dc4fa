"""Sliding windows: a network predicts parts of an image, and outputs are averaged in pixels that parts share.

Shapes: B images, N windows at a time, C classes, H/W the frame, h/w a window. Images are grey, uint8[B, H, W], or RGB,
uint8[B, H, W, 3].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.prediction.transfer import to_device
from utils.arrays import Size

Answer: TypeAlias = Callable[[Tensor], Tensor]
"""uint8[N, h, w] or uint8[N, h, w, 3] → [N, C, h, w], such as a network's logits or probabilities."""
Corner: TypeAlias = tuple[int, int]
"""The (top, left) pixel of a window."""


@dataclass(frozen=True)
class Windows:
    """Windows of `size_hw` pixels, at most `stride_hw` apart, whose answers count by a Gaussian around their centre.

    `sigma` is its standard deviation as a fraction of the window's sides; None lets all pixels count alike.
    """

    size_hw: Size
    stride_hw: Size
    sigma: float | None = 0.125

    def within(self, frame_hw: Size) -> Size:
        """The size of each window in a frame: as configured, or the frame's side if that is smaller."""
        return min(self.size_hw[0], frame_hw[0]), min(self.size_hw[1], frame_hw[1])

    def places(self, frame_hw: Size) -> list[Corner]:
        """The corners of the windows, row by row: from edge to edge, evenly spaced."""
        size_hw = self.within(frame_hw)
        tops, lefts = map(_starts, frame_hw, size_hw, self.stride_hw)
        return list(product(tops, lefts))

    def weights(self, size_hw: Size) -> Tensor:
        """float32[h, w] in 0..1, nowhere 0: how much each pixel of a window's answer counts."""
        down, across = (_bell(side, self.sigma) for side in size_hw)
        return down[:, None] * across


class Mean:
    """The weighted mean of values that each cover a part of one frame, summed in place in float32.

    With `channels_last` the classes of a pixel are neighbours in memory, as in the answers of networks; a GPU would
    otherwise read eight times what it adds. The values are the same.
    """

    def __init__(self, classes: int, frame_hw: Size, device: torch.device, *, channels_last: bool = False) -> None:
        if channels_last:
            self.sum_CHW = torch.zeros((*frame_hw, classes), device=device).permute(2, 0, 1)
        else:
            self.sum_CHW = torch.zeros((classes, *frame_hw), device=device)
        self.weight_HW = torch.zeros(frame_hw, device=device)

    @classmethod
    def like(cls, values_BChw: Tensor, frame_hw: Size) -> Mean:
        """Return a mean for the classes of these values, on their device and in the layout that suits that."""
        device = values_BChw.device
        return cls(values_BChw.shape[1], frame_hw, device, channels_last=device.type == "cuda")

    def add(self, values_Chw: Tensor, weights_hw: Tensor, place: Corner = (0, 0)) -> None:
        """Add the values of a part whose upper left pixel is `place`."""
        (top, left), (height, width) = place, weights_hw.shape
        rows, columns = slice(top, top + height), slice(left, left + width)
        self.sum_CHW[:, rows, columns].addcmul_(values_Chw, weights_hw)
        self.weight_HW[rows, columns].add_(weights_hw)

    def value(self) -> Tensor:
        """float32[C, H, W]; takes the place of the sum, so that nothing can be added afterwards."""
        return self.sum_CHW.div_(self.weight_HW)


def sliding_window(answer: Answer, images: Tensor, windows: Windows | None, at_once: int) -> Tensor:
    """Compute the answers [B, C, H, W] to whole images from windows, `at_once` of them at a time.

    If there are no windows, or one covers the frame, the whole images are answered at once, and nothing is blended.
    """
    frame_hw: Size = (images.shape[1], images.shape[2])
    places = [] if windows is None else windows.places(frame_hw)
    if windows is None or len(places) == 1:
        return answer(images)
    size_hw = windows.within(frame_hw)
    weights_hw = weights_on(windows, size_hw, images.device)
    means: list[Mean] = []
    parts = list(product(range(len(images)), places))
    for start in range(0, len(parts), at_once):
        some = parts[start : start + at_once]
        values_NChw = filling(answer(_cut_out(images, some, size_hw)), size_hw)
        means = means or [Mean.like(values_NChw, frame_hw) for _ in images]
        for (index, place), values_Chw in zip(some, values_NChw, strict=True):
            means[index].add(values_Chw, weights_hw, place)
    return stacked(means)


@lru_cache(maxsize=4)
def weights_on(windows: Windows, size_hw: Size, device: torch.device) -> Tensor:
    """The weights float32[h, w] of windows of this size on a device, where they stay for the next images."""
    return to_device(windows.weights(size_hw).numpy(), device)


def stacked(means: Sequence[Mean]) -> Tensor:
    """The values of all, [B, C, H, W]; that of one is not copied."""
    return torch.stack([mean.value() for mean in means]) if len(means) > 1 else means[0].value()[None]


def _cut_out(images: Tensor, parts: Sequence[tuple[int, Corner]], size_hw: Size) -> Tensor:
    """Cut the windows out, uint8[N, h, w] or uint8[N, h, w, 3]."""
    height, width = size_hw
    return torch.stack([images[index, top : top + height, left : left + width] for index, (top, left) in parts])


def filling(values_NChw: Tensor, size_hw: Size) -> Tensor:
    """Return the answers of a network, which may answer at a lower resolution, at that of its input."""
    values = values_NChw.float()
    if tuple(values.shape[-2:]) == size_hw:
        return values
    resized: Tensor = F.interpolate(values, size_hw, mode="bilinear", align_corners=False)
    return resized


def _starts(side: int, size: int, stride: int) -> list[int]:
    """The first pixels of windows along one axis."""
    gaps = math.ceil((side - size) / stride)
    return [round(index * (side - size) / gaps) for index in range(gaps + 1)] if gaps else [0]


@cache
def _bell(side: int, sigma: float | None) -> Tensor:
    """float32[side], 1 in the middle. Its ends are kept above 0, for a frame's corners lie in one window alone."""
    if sigma is None:
        return torch.ones(side)
    distances = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / (sigma * side)
    return torch.exp(-0.5 * distances.square()).clamp_min_(1e-4).float()
