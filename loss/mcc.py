"""A loss from the Matthews correlation coefficient, which counts right background as well as right objects."""

from __future__ import annotations

import torch
from torch import Tensor

from loss.base import Loss, PixelSumLoss
from loss.pixel_sums import PixelSums
from loss.pixel_terms import Overlap, Probability, Target
from loss.region import Per

# Shapes: B images, C classes.

EPS = 1e-5
"""Pixels added to each of the four counts, as in segmentation-models-pytorch; keeps the quotient finite."""


def mcc(*, per: Per = "batch") -> Loss:
    """1 - Matthews correlation coefficient, the mean over classes (doi:10.1109/ISBI48211.2021.9433782).

    A class that has no pixel in the target, or every pixel, has no correlation, and adds 0 to the mean.
    per: as for dice.
    """
    return Matthews(per)


class Matthews(PixelSumLoss):
    """(TP TN - FP FN) / √((TP + FP)(TP + FN)(TN + FP)(TN + FN)), with probabilities in place of counts."""

    terms = (Probability(), Target(), Overlap())

    def __init__(self, per: Per) -> None:
        self.per = per

    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        batch = self.per == "batch"
        found, target, both = (sums[term].sum(0) if batch else sums[term] for term in self.terms)
        # The sums are of all processes' images, so they say how many images there are.
        pixels = sums.pixels * (len(sums[self.terms[0]]) if batch else 1)
        loss = 1 - _correlation(both, found - both, target - both, pixels - found - target + both)
        return {"mcc": torch.where((target > 0) & (target < pixels), loss, 0).mean()}


def _correlation(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    # The sums of some pixels may lie below 0 by their rounding.
    tp, fp, fn, tn = (count.clamp_min(0) + EPS for count in (tp, fp, fn, tn))
    # A product of roots: that of four counts may exceed fp32.
    bound = (tp + fp).sqrt() * (tp + fn).sqrt() * (tn + fp).sqrt() * (tn + fn).sqrt()
    return (tp * tn - fp * fn) / bound
