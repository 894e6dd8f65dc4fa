"""Losses that are one minus an overlap of regions: Dice, Jaccard, Tversky and focal Tversky.

If a class has no pixel in the target, its overlap carries no information and adds 0 to the mean. A network learns from
a pixel loss beside this one that a class is absent (see `mix`, `dice_bce`).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from loss.base import Loss, PixelSumLoss
from loss.pixel_sums import PixelSums
from loss.pixel_terms import Overlap, Probability, Target

# Shapes: B images, C classes.

Per = Literal["batch", "image"]

# Keeps quotients and powers finite; smaller than the share of one pixel in any score.
EPS = 1e-7


def dice(*, smooth: NonNegativeFloat = 0.0, per: Per = "batch") -> Loss:
    """1 - Dice, the mean over classes.

    smooth: pixels added to the overlap and to its bound; reduces the loss of tiny objects.
    per: "batch" measures a class over all images of the batch as one region, which is steadier for objects of few
    pixels and what segmentation-models-pytorch does; "image" measures each image alone, as the score in Dice does.
    """
    return RegionOverlap("dice", alpha=0.5, beta=0.5, smooth=smooth, per=per)


def jaccard(*, smooth: NonNegativeFloat = 0.0, per: Per = "batch") -> Loss:
    """1 - intersection over union, the mean over classes; parameters as for dice."""
    return RegionOverlap("jaccard", alpha=1.0, beta=1.0, smooth=smooth, per=per)


def iou(*, smooth: NonNegativeFloat = 0.0) -> Loss:
    """1 - intersection over union of each image alone, the mean over images and classes: jaccard with per: image."""
    return RegionOverlap("iou", alpha=1.0, beta=1.0, smooth=smooth, per="image")


def tversky(
    *, alpha: NonNegativeFloat = 0.3, beta: NonNegativeFloat = 0.7, smooth: NonNegativeFloat = 0.0, per: Per = "batch"
) -> Loss:
    """1 - Tversky index (arXiv:1706.05721), the mean over classes.

    alpha, beta: weights of false positives and of false negatives; both 0.5 is Dice, both 1 is Jaccard.
    smooth, per: as for dice.
    """
    return RegionOverlap("tversky", alpha=alpha, beta=beta, smooth=smooth, per=per)


def focal_tversky(
    *,
    alpha: NonNegativeFloat = 0.3,
    beta: NonNegativeFloat = 0.7,
    gamma: PositiveFloat = 4 / 3,
    focus: Literal["class", "mean"] = "class",
    smooth: NonNegativeFloat = 0.0,
    per: Per = "batch",
) -> Loss:
    """(1 - Tversky index)^gamma (after arXiv:1810.07842, whose own gamma is the inverse of this one).

    gamma: above 1 the hard classes gain weight over the easy ones, below 1 they lose it.
    focus: "class" takes the power of each class before the mean, so that classes differ in weight, as in the paper;
    "mean" takes it after, as segmentation-models-pytorch does, which only rescales the loss.
    alpha, beta, smooth, per: as for tversky.
    """
    return RegionOverlap(
        "focal_tversky", alpha=alpha, beta=beta, smooth=smooth, per=per, gamma=gamma, power_of_mean=focus == "mean"
    )


class RegionOverlap(PixelSumLoss):
    """(1 - Tversky index)^gamma; every loss of this module is a case of it."""

    terms = (Probability(), Target(), Overlap())

    def __init__(
        self,
        name: str,
        *,
        alpha: float,
        beta: float,
        smooth: float,
        per: Per,
        gamma: float = 1.0,
        power_of_mean: bool = False,
    ) -> None:
        self.name, self.alpha, self.beta, self.smooth, self.per = name, alpha, beta, smooth, per
        self.gamma, self.power_of_mean = gamma, power_of_mean

    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        probability, target, overlap = (self._regions(sums[term]) for term in self.terms)
        loss = 1 - self._tversky_index(probability, target, overlap)
        if not self.power_of_mean:
            loss = self._focused(loss)
        mean = torch.where(target > 0, loss, 0).mean()
        return {self.name: self._focused(mean) if self.power_of_mean else mean}

    def _regions(self, sum_BC: Tensor) -> Tensor:
        """Return the sums of each region that is measured: [C] for "batch", [B, C] for "image"."""
        return sum_BC.sum(0) if self.per == "batch" else sum_BC

    def _tversky_index(self, probability: Tensor, target: Tensor, overlap: Tensor) -> Tensor:
        false_positive, false_negative = probability - overlap, target - overlap
        bound = overlap + self.alpha * false_positive + self.beta * false_negative + self.smooth
        return (overlap + self.smooth) / bound.clamp_min(EPS)

    def _focused(self, loss: Tensor) -> Tensor:
        """Return loss^gamma, constant for losses below EPS: at 0 the slope of a power below 1 is infinite."""
        return loss if self.gamma == 1 else loss.clamp_min(EPS) ** self.gamma
