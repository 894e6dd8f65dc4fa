"""Losses that compare pixels with their neighbours: structural similarity, and cross-entropy that weighs edges."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from loss.base import Loss
from loss.custom import FunctionLoss

# Shapes: B images, C classes, H/W pixels.

RadiusPx = Annotated[int, Field(ge=0, le=31)]

MEANS_EQUAL, CONTRASTS_EQUAL = 0.01**2, 0.03**2
"""The constants of SSIM for values in 0..1 (Wang et al. 2004): they keep the quotients of flat windows finite."""
SIGMAS = 3.5
"""Half the width of the window of SSIM, in standard deviations: 11 px for 1.5 px, as in that paper."""
STEEPEST = 4.0
"""The largest Sobel difference, that of a straight edge from 0 to 1."""


def ssim(*, sigma_px: PositiveFloat = 1.5) -> Loss:
    """1 - structural similarity of probabilities and target, the mean over images, classes and pixels.

    It compares mean, contrast and structure around each pixel, so that borders and thin parts count as much as areas.

    sigma_px: standard deviation of the Gaussian window.
    """
    return FunctionLoss("ssim", partial(dissimilarity, sigma_px=sigma_px))


def edge_bce(*, weight: NonNegativeFloat = 4.0, radius_px: RadiusPx = 2) -> Loss:
    """Binary cross-entropy in which pixels at an edge of the target count more, the weighted mean over pixels.

    weight: how much more a pixel on a sharp edge counts: 1 + weight, in the measure of the target's slope (Sobel).
    radius_px: how far an edge reaches to each side.
    """
    return FunctionLoss("edge_bce", partial(edge_cross_entropy, weight=weight, radius_px=radius_px))


def dissimilarity(logits_BCHW: Tensor, target_BCHW: Tensor, sigma_px: float) -> Tensor:
    """Compute 1 - SSIM of each image, [B]."""
    probability = logits_BCHW.sigmoid()
    blur = Blur(sigma_px, logits_BCHW)
    mean_p, mean_t = blur(probability), blur(target_BCHW)
    variance_p = blur(probability.square()) - mean_p.square()
    variance_t = blur(target_BCHW.square()) - mean_t.square()
    covariance = blur(probability * target_BCHW) - mean_p * mean_t
    means = (2 * mean_p * mean_t + MEANS_EQUAL) / (mean_p.square() + mean_t.square() + MEANS_EQUAL)
    contrasts = (2 * covariance + CONTRASTS_EQUAL) / (variance_p + variance_t + CONTRASTS_EQUAL)
    return (1 - means * contrasts).mean((1, 2, 3))


class Blur:
    """A Gaussian blur of maps as large as `like`; at a border the mean is that of the pixels inside."""

    def __init__(self, sigma_px: float, like: Tensor) -> None:
        radius = max(1, round(SIGMAS * sigma_px))
        offsets = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
        window = torch.exp(-offsets.square() / (2 * sigma_px**2))
        self.window, self.radius = window / window.sum(), radius
        self.inside = self._sum(like.new_ones(1, 1, *like.shape[2:]))

    def __call__(self, values_BCHW: Tensor) -> Tensor:
        images, classes, height, width = values_BCHW.shape
        blurred = self._sum(values_BCHW.reshape(images * classes, 1, height, width)) / self.inside
        return blurred.reshape(images, classes, height, width)

    def _sum(self, values_N1HW: Tensor) -> Tensor:
        """Sum along columns, then along rows; outside of the map is nothing."""
        summed = F.conv2d(values_N1HW, self.window.view(1, 1, -1, 1), padding=(self.radius, 0))
        return F.conv2d(summed, self.window.view(1, 1, 1, -1), padding=(0, self.radius))


def edge_cross_entropy(logits_BCHW: Tensor, target_BCHW: Tensor, weight: float, radius_px: int) -> Tensor:
    """Compute the weighted mean of each image, [B]."""
    loss = F.binary_cross_entropy_with_logits(logits_BCHW, target_BCHW, reduction="none")
    weights = 1 + weight * edges_of(target_BCHW, radius_px)
    return (loss * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))


@torch.no_grad()
def edges_of(target_BCHW: Tensor, radius_px: int) -> Tensor:
    """Compute how steep the target is, 0 to 1, and spread it by `radius_px`; a border of the image is no edge."""
    padded = F.pad(target_BCHW, (1, 1, 1, 1), mode="replicate")
    # Sobel: the difference across two pixels, weighted 1, 2, 1 along the edge.
    rows = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    columns = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    across, down = rows[..., 2:] - rows[..., :-2], columns[:, :, 2:] - columns[:, :, :-2]
    steepness = ((across.square() + down.square()).sqrt() / STEEPEST).clamp_max(1)
    return F.max_pool2d(steepness, 2 * radius_px + 1, stride=1, padding=radius_px)
