"""Which threshold each class deserves, and what that gains, estimated on images that the choice has not seen.

A curve's highest point is the luckiest too. So a class leaves 0.5 only where thresholds chosen on some groups gain on
others, and the whole procedure, that rule included, is tried on folds that it does not know (nested cross-validation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.folds.split import folds_of_groups
from trainer.thresholds.curves import THRESHOLDS
from utils.arrays import Floats, Ints

# Shapes: N images, C classes, T thresholds, P groups.

HALF = THRESHOLDS.index(0.5)
FOLDS = 5
"""Folds over groups, or as many as there are groups."""
SAME = 1e-12
"""Dice closer than this is called equal: a mean over images is rounded."""


@dataclass(frozen=True)
class Curves:
    """Dice of held-out images at every threshold, with what the folds follow from."""

    dice_NCT: Floats
    groups: Sequence[str]
    runs: Sequence[int]
    """Which run held the image out."""


@dataclass(frozen=True)
class Tuned:
    """The choice, and Dice in 0..1 per class: at 0.5, and of the procedure on images that it has not seen."""

    thresholds_C: Floats
    at_half_C: Floats
    estimate_C: Floats
    folds: int
    """Folds that the estimate was made on."""

    @property
    def gain(self) -> float:
        """What the procedure adds to the mean Dice, estimated."""
        return float((self.estimate_C - self.at_half_C).mean())


def tune(curves: Curves) -> Tuned:
    """Choose a threshold per class; 0.5 where the class, or the whole procedure, gains nothing on unseen images."""
    folds_N = outer_folds(curves)
    at_half_C = curves.dice_NCT[..., HALF].mean(axis=0)
    estimate_C = unseen(curves.dice_NCT, folds_N, curves.groups).mean(axis=0)
    chosen_C = np.where(estimate_C > at_half_C + SAME, choose(curves.dice_NCT, curves.groups), HALF)
    if (estimate_C - at_half_C).mean() <= SAME:
        chosen_C = np.full_like(chosen_C, HALF)
    return Tuned(np.array(THRESHOLDS)[chosen_C], at_half_C, estimate_C, len(set(folds_N.tolist())))


def outer_folds(curves: Curves) -> Ints:
    """The runs, where each held out groups of its own: then the networks are new as well; else folds of groups."""
    held_out: dict[int, set[str]] = {run: set() for run in curves.runs}
    for run, group in zip(curves.runs, curves.groups, strict=True):
        held_out[run].add(group)
    if len(held_out) > 1 and sum(map(len, held_out.values())) == len(set(curves.groups)):
        return np.array(curves.runs)
    return group_folds(curves.groups)


def group_folds(groups: Sequence[str]) -> Ints:
    fold_of = folds_of_groups(groups, min(FOLDS, len(set(groups))))
    return np.array([fold_of[group] for group in groups])


def unseen(dice_NCT: Floats, folds_N: Ints, groups: Sequence[str]) -> Floats:
    """Dice [N, C] of each image at the thresholds that the other folds choose."""
    found_NC = np.empty(dice_NCT.shape[:2])
    for fold in np.unique(folds_N):
        held_out = folds_N == fold
        others = [group for group, out in zip(groups, held_out, strict=True) if not out]
        found_NC[held_out] = at(dice_NCT[held_out], choose(dice_NCT[~held_out], others))
    return found_NC


def choose(dice_NCT: Floats, groups: Sequence[str]) -> Ints:
    """The best threshold of each class that gains, chosen on some groups, on others: by more than one standard error.

    0.5 for all classes where there are fewer than two groups.
    """
    stay_C = np.full(dice_NCT.shape[1], HALF)
    if len(set(groups)) < 2:
        return stay_C
    folds_N = group_folds(groups)
    gains_NC = np.empty(dice_NCT.shape[:2])
    for fold in np.unique(folds_N):
        held_out = folds_N == fold
        gains_NC[held_out] = at(dice_NCT[held_out], best(dice_NCT[~held_out])) - dice_NCT[held_out, :, HALF]
    names = np.array(groups)
    gains_PC = np.stack([gains_NC[names == group].mean(axis=0) for group in np.unique(names)])
    error_C = gains_PC.std(axis=0, ddof=1) / np.sqrt(len(gains_PC))
    return np.where(gains_PC.mean(axis=0) > error_C + SAME, best(dice_NCT), stay_C)


def best(dice_NCT: Floats) -> Ints:
    """Where each class's mean curve is highest; of equal places the one nearest to 0.5."""
    mean_CT = dice_NCT.mean(axis=0)
    highest_CT = mean_CT >= mean_CT.max(axis=1, keepdims=True) - SAME
    distance_T = np.abs(np.arange(len(THRESHOLDS)) - HALF)
    return np.asarray(np.where(highest_CT, distance_T, len(THRESHOLDS)).argmin(axis=1))


def at(dice_NCT: Floats, places_C: Ints) -> Floats:
    """Dice [N, C] at one place per class."""
    return dice_NCT[:, np.arange(dice_NCT.shape[1]), places_C]
