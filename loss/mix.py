"""Weighted sums of losses, which share one pass over the logits and report each part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field, NonNegativeFloat
from torch import Tensor

from loss.base import Gather, Loss, Outputs, PixelSumLoss, sums_of
from loss.pixel import bce
from loss.pixel_blocks import Term
from loss.pixel_sums import PixelSums
from loss.region import Per, dice
from utils.config.component import Component, component, enclosing_table
from utils.config.section import Section


def dice_bce(
    *,
    dice_weight: NonNegativeFloat = 0.5,
    bce_weight: NonNegativeFloat = 0.5,
    smooth: NonNegativeFloat = 0.0,
    per: Per = "batch",
) -> Loss:
    """dice_weight · dice + bce_weight · bce; smooth and per as for dice.

    Dice gives small and large objects the same weight. Cross-entropy calibrates the probabilities of pixels, and
    teaches which classes are absent.
    """
    return WeightedSum([(dice(smooth=smooth, per=per), dice_weight), (bce(), bce_weight)])


class WeightedLoss(Section):
    """One part of a mix: any loss, by name or with parameters, and its weight."""

    loss: Annotated[Component, component("loss", enclosing_table)]
    weight: NonNegativeFloat = 1.0


def mix(*, parts: Annotated[tuple[WeightedLoss, ...], Field(min_length=1)]) -> Loss:
    """The weighted sum of any losses; weights need not add up to 1.

    In YAML: `{name: mix, parts: [{loss: {name: focal, gamma: 2}, weight: 0.5}, {loss: dice}]}`.
    """
    return WeightedSum([(part.loss.build(), part.weight) for part in parts])


class WeightedSum(Loss):
    """Σ weight · loss. A part keeps its name; a second part of the same name becomes "dice_2".

    All parts that are sums over pixels, also those of a mix within this one, share one pass over the logits. Every
    other part computes its own.
    """

    def __init__(self, parts: Sequence[tuple[Loss, float]]) -> None:
        self.weighted = tuple(parts)
        summed = [loss for loss, _ in parts if isinstance(loss, (PixelSumLoss, WeightedSum))]
        self.terms: tuple[Term, ...] = tuple(dict.fromkeys(term for loss in summed for term in loss.terms))

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        sums = sums_of(outputs, target_BCHW, self.terms, gather) if self.terms else None
        return self._parts(sums, lambda loss: loss.parts(outputs, target_BCHW, gather))

    def _parts(self, sums: PixelSums | None, compute: Callable[[Loss], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Weigh the parts of all losses: from the shared sums if possible, else as `compute` gives them."""
        parts: dict[str, Tensor] = {}
        for loss, weight in self.weighted:
            if isinstance(loss, WeightedSum):
                own = loss._parts(sums, compute)
            elif isinstance(loss, PixelSumLoss) and sums is not None:
                own = loss.parts_of(sums)
            else:
                own = compute(loss)
            for name, value in own.items():
                parts[_unused(name, parts)] = weight * value
        return parts


def _unused(name: str, taken: dict[str, Tensor]) -> str:
    """Return `name`, or the first of "name_2", "name_3", ... that is free."""
    number = 2
    candidate = name
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
