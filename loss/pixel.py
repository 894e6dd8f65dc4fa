"""Losses that are a mean over pixels: binary cross-entropy and focal loss."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat
from torch import Tensor

from loss.base import Loss, PixelSumLoss
from loss.pixel_blocks import Term
from loss.pixel_sums import PixelSums
from loss.pixel_terms import CrossEntropy, Focal

Fraction = Annotated[float, Field(ge=0, le=1)]


def bce() -> Loss:
    """Binary cross-entropy, the mean over images, classes and pixels."""
    return PixelMean("bce", CrossEntropy())


def focal(*, gamma: NonNegativeFloat = 2.0, alpha: Fraction | None = None) -> Loss:
    """Focal loss (arXiv:1708.02002), the mean over images, classes and pixels.

    gamma: how much less confident pixels count; 0 is cross-entropy.
    alpha: weight of pixels of the class, 1 - alpha that of all others; null weighs both by 1.
    """
    return PixelMean("focal", Focal(gamma, alpha))


class PixelMean(PixelSumLoss):
    """The mean of one term over all pixels."""

    def __init__(self, name: str, term: Term) -> None:
        self.name = name
        self.terms = (term,)

    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        return {self.name: sums[self.terms[0]].mean() / sums.pixels}
