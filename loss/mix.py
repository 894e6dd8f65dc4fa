"""Weighted sums of losses, which share one pass over the logits and report each part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, cast

from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from loss.base import Loss
from loss.pixel import bce
from loss.pixel_sums import PixelSums
from loss.region import Per, dice
from utils.config.component import Component, Table, component
from utils.config.section import Section


def dice_bce(
    *,
    dice_weight: NonNegativeFloat = 0.5,
    bce_weight: NonNegativeFloat = 0.5,
    smooth: NonNegativeFloat = 0.0,
    per: Per = "batch",
) -> Loss:
    """dice_weight · dice + bce_weight · bce; smooth and per as for dice.

    Dice aims at the score whatever a bone's size, cross-entropy keeps pixels calibrated and teaches absent bones.
    """
    return WeightedSum([(dice(smooth=smooth, per=per), dice_weight), (bce(), bce_weight)])


def _table() -> Table:
    from loss import LOSSES

    return LOSSES


class WeightedLoss(Section):
    """One part of a mix: any loss, by name or with parameters, and its weight."""

    loss: Annotated[Component, component("loss", _table)]
    weight: NonNegativeFloat = 1.0


def mix(*, parts: Annotated[tuple[WeightedLoss, ...], Field(min_length=1)]) -> Loss:
    """The weighted sum of any losses; weights need not add up to 1.

    In YAML: `{name: mix, parts: [{loss: {name: focal, gamma: 2}, weight: 0.5}, {loss: dice}]}`.
    """
    return WeightedSum([(part.loss.build(), part.weight) for part in parts])


class WeightedSum(Loss):
    """Σ weight · loss. A part keeps its name; a second one of the same name becomes "dice_2"."""

    def __init__(self, parts: Sequence[tuple[Loss, float]]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(loss for loss, _ in parts)
        self.weights = [weight for _, weight in parts]
        self.terms = tuple(dict.fromkeys(term for loss, _ in parts for term in loss.terms))

    def parts_of(self, sums: PixelSums) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        for loss, weight in zip(cast("Iterable[Loss]", self.losses), self.weights, strict=True):
            for name, value in loss.parts_of(sums).items():
                parts[_unused(name, parts)] = weight * value
        return parts


def _unused(name: str, taken: dict[str, Tensor]) -> str:
    number = 2
    candidate = name
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
