"""Test-time augmentation: other views of one image, and the way back from each view's answer to the image's frame.

Shapes: C classes, h/w pixels of the network's input. An image is grey, uint8[h, w], or RGB, uint8[h, w, 3].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.prediction.windows import Mean, stacked
from transform.base import size_of
from transform.warp import Affine, Flip
from utils.arrays import Pixels, Size

FROM_CERTAINTY = 1e-7
"""The least distance of a probability from 0 and 1, about float32's smallest below 1; a logit of 16."""

EDGE_PX = 2
"""So near the image's edge a turned view has mixed the image with the black around it."""


@dataclass(frozen=True)
class View:
    """One way to show an image: resized by `scale`, pixel values to the power `gamma`, turned, mirrored.

    `rotate_deg` turns counter-clockwise about the middle of the pixel grid.
    """

    scale: float = 1.0
    gamma: float = 1.0
    rotate_deg: float = 0.0
    hflip: bool = False

    def frame(self, plain_hw: Size, step_px: int) -> Size:
        """The size of this view: whole multiples of `step_px`, which the network needs."""
        if self.scale == 1:
            return plain_hw
        height, width = (max(step_px, round(side * self.scale / step_px) * step_px) for side in plain_hw)
        return height, width

    def apply(self, image: Pixels) -> Pixels:
        """Change an image, which has the size of the view's frame already, as this view shows it."""
        if self.gamma != 1:
            image = np.asarray(cv2.LUT(image, _powers(self.gamma)), np.uint8)
        if self.rotate_deg:
            image = Affine(self._matrix(size_of(image))).image(image)
        return Flip().image(image) if self.hflip else image

    def back(self, values_Chw: Tensor, plain_hw: Size) -> tuple[Tensor, Tensor]:
        """Return its values in the plain frame [C, h, w], and [h, w]: 1 for each pixel that the view shows, else 0.

        A view and its way back are resizes of whole frames and turns about one point, pixel centres at (0, 0), (1, 0)
        …, so a value returns to the pixel that it belongs to, but for the blur of interpolation.
        """
        if self.hflip:
            values_Chw = values_Chw.flip(-1)
        seen_hw = values_Chw.new_ones(values_Chw.shape[-2:])
        if self.rotate_deg:
            values_Chw, seen_hw = self._turned_back(values_Chw)
        if tuple(values_Chw.shape[-2:]) != plain_hw:
            values_Chw, shares_hw = _resized(values_Chw, plain_hw), _resized(seen_hw[None], plain_hw)[0]
            seen_hw = (shares_hw > 1 - 1e-3).to(seen_hw.dtype)
        return values_Chw, seen_hw

    def _turned_back(self, values_Chw: Tensor) -> tuple[Tensor, Tensor]:
        """Turn values back: each pixel gets the value at the place that the turn had moved it to."""
        height, width = values_Chw.shape[-2:]
        (a, b, c), (d, e, f) = self._matrix((height, width)).tolist()
        y = torch.arange(height, dtype=torch.float32, device=values_Chw.device)[:, None]
        x = torch.arange(width, dtype=torch.float32, device=values_Chw.device)
        at_x, at_y = a * x + b * y + c, d * x + e * y + f
        grid = torch.stack([(2 * at_x + 1) / width - 1, (2 * at_y + 1) / height - 1], dim=-1)
        turned = F.grid_sample(values_Chw[None], grid[None], padding_mode="border", align_corners=False)[0]
        seen = _inside(at_x, width) & _inside(at_y, height) & _inside(x, width, EDGE_PX) & _inside(y, height, EDGE_PX)
        return turned, seen.to(values_Chw.dtype)

    def _matrix(self, size_hw: Size) -> npt.NDArray[np.float64]:
        """float64[2, 3]: takes an (x, y) to its place after the turn."""
        centre = (size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2
        return np.asarray(cv2.getRotationMatrix2D(centre, self.rotate_deg, 1.0), np.float64)


PLAIN = View()


def views(
    *,
    hflip: bool = False,
    scales: Sequence[float] = (),
    rotations_deg: Sequence[float] = (),
    gammas: Sequence[float] = (),
) -> tuple[View, ...]:
    """The plain view, then one for each scale, rotation and gamma; with `hflip` all of these mirrored as well."""
    seen = [
        PLAIN,
        *(View(scale=scale) for scale in scales),
        *(View(rotate_deg=angle) for angle in rotations_deg),
        *(View(gamma=gamma) for gamma in gammas),
    ]
    seen = list(dict.fromkeys(seen))
    return tuple(seen + [replace(view, hflip=True) for view in seen] if hflip else seen)


def average_views(answers: Iterable[Tensor], views: Sequence[View], plain_hw: Size) -> Tensor:
    """Average the views' answers [B, C, …] to [B, C, h, w], the plain frame; a view counts in the pixels it shows.

    The plain view, which shows all of them, is one of the views.
    """
    means: list[Mean] = []
    for view, values_BChw in zip(views, answers, strict=True):
        means = means or [Mean.like(values_BChw, plain_hw) for _ in values_BChw]
        for mean, values_Chw in zip(means, values_BChw, strict=True):
            mean.add(*view.back(values_Chw.float(), plain_hw))
    return stacked(means)


@dataclass(frozen=True)
class Average:
    """What is averaged over windows and views: a function of the logits, and the way back to logits."""

    of_logits: Callable[[Tensor], Tensor]
    to_logits: Callable[[Tensor], Tensor]


def _same(values: Tensor) -> Tensor:
    return values


def _sigmoid(logits: Tensor) -> Tensor:
    return logits.float().sigmoid()


def _logit(probabilities: Tensor) -> Tensor:
    """Finite, so that interpolation finds no infinity."""
    logits: Tensor = torch.special.logit(probabilities, eps=FROM_CERTAINTY)
    return logits


LOGITS = Average(_same, _same)
AVERAGES = {"probabilities": Average(_sigmoid, _logit), "logits": LOGITS}


def _resized(values_Chw: Tensor, size_hw: Size) -> Tensor:
    resized: Tensor = F.interpolate(values_Chw[None], size_hw, mode="bilinear", align_corners=False)[0]
    return resized


def _inside(places: Tensor, side: int, margin_px: int = 0) -> Tensor:
    return (places >= margin_px) & (places <= side - 1 - margin_px)


def _powers(gamma: float) -> Pixels:
    """uint8[256]: each pixel value on a 0..1 scale to a power."""
    return np.asarray(np.rint(255 * (np.arange(256) / 255) ** gamma), np.uint8)
