"""Choose a threshold for each class, and estimate the gain on images that were not used for the choice.

The highest point of a curve is partly chance. So a class leaves 0.5 only if thresholds chosen on some groups improve
the Dice of others, and the whole procedure with this rule is evaluated on further folds (nested cross-validation).
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
"""Folds over groups; fewer if there are fewer groups."""
SAME = 1e-12
"""Differences of Dice below this count as equal, because means over images are rounded."""


@dataclass(frozen=True)
class Curves:
    """Dice of held-out images at every threshold, and the group and run of each image, from which folds are made."""

    dice_NCT: Floats
    groups: Sequence[str]
    runs: Sequence[int]
    """The number of the run that held the image out."""


@dataclass(frozen=True)
class Tuned:
    """The chosen thresholds, and the Dice of each class, 0..1: at 0.5, and of the procedure on unseen images."""

    thresholds_C: Floats
    at_half_C: Floats
    estimate_C: Floats
    folds: int
    """The number of folds of the estimate."""

    @property
    def gain(self) -> float:
        """The estimated gain of the mean Dice."""
        return float((self.estimate_C - self.at_half_C).mean())


def tune(curves: Curves) -> Tuned:
    """Choose a threshold per class; 0.5 if the class, or the procedure as a whole, gains nothing on unseen images."""
    folds_N = outer_folds(curves)
    at_half_C = curves.dice_NCT[..., HALF].mean(axis=0)
    estimate_C = unseen_dice(curves.dice_NCT, folds_N, curves.groups).mean(axis=0)
    chosen_C = np.where(estimate_C > at_half_C + SAME, choose_thresholds(curves.dice_NCT, curves.groups), HALF)
    if (estimate_C - at_half_C).mean() <= SAME:
        chosen_C = np.full_like(chosen_C, HALF)
    return Tuned(np.array(THRESHOLDS)[chosen_C], at_half_C, estimate_C, len(set(folds_N.tolist())))


def outer_folds(curves: Curves) -> Ints:
    """Return the fold of each image: its run, if no group is held out in two runs, else a fold of groups.

    Folds by run are better, because then the networks differ as well.
    """
    held_out: dict[int, set[str]] = {run: set() for run in curves.runs}
    for run, group in zip(curves.runs, curves.groups, strict=True):
        held_out[run].add(group)
    if len(held_out) > 1 and sum(map(len, held_out.values())) == len(set(curves.groups)):
        return np.array(curves.runs)
    return group_folds(curves.groups)


def group_folds(groups: Sequence[str]) -> Ints:
    """Return the fold of each image, the same for all images of a group."""
    fold_of = folds_of_groups(groups, min(FOLDS, len(set(groups))))
    return np.array([fold_of[group] for group in groups])


def unseen_dice(dice_NCT: Floats, folds_N: Ints, groups: Sequence[str]) -> Floats:
    """Return the Dice [N, C] of each image at the thresholds that were chosen on the other folds."""
    found_NC = np.empty(dice_NCT.shape[:2])
    for fold in np.unique(folds_N):
        held_out = folds_N == fold
        others = [group for group, out in zip(groups, held_out, strict=True) if not out]
        found_NC[held_out] = dice_at(dice_NCT[held_out], choose_thresholds(dice_NCT[~held_out], others))
    return found_NC


def choose_thresholds(dice_NCT: Floats, groups: Sequence[str]) -> Ints:
    """Return the best threshold of each class, as places in `THRESHOLDS`.

    A class keeps 0.5 unless thresholds chosen on some groups improve the others by more than one standard error. With
    fewer than two groups all classes keep 0.5.
    """
    stay_C = np.full(dice_NCT.shape[1], HALF)
    if len(set(groups)) < 2:
        return stay_C
    folds_N = group_folds(groups)
    gains_NC = np.empty(dice_NCT.shape[:2])
    for fold in np.unique(folds_N):
        held_out = folds_N == fold
        gains_NC[held_out] = (
            dice_at(dice_NCT[held_out], best_thresholds(dice_NCT[~held_out])) - dice_NCT[held_out, :, HALF]
        )
    names = np.array(groups)
    gains_PC = np.stack([gains_NC[names == group].mean(axis=0) for group in np.unique(names)])
    error_C = gains_PC.std(axis=0, ddof=1) / np.sqrt(len(gains_PC))
    return np.where(gains_PC.mean(axis=0) > error_C + SAME, best_thresholds(dice_NCT), stay_C)


def best_thresholds(dice_NCT: Floats) -> Ints:
    """Return the place at which the mean curve of each class is highest; of equal places the nearest to 0.5."""
    mean_CT = dice_NCT.mean(axis=0)
    highest_CT = mean_CT >= mean_CT.max(axis=1, keepdims=True) - SAME
    distance_T = np.abs(np.arange(len(THRESHOLDS)) - HALF)
    return np.asarray(np.where(highest_CT, distance_T, len(THRESHOLDS)).argmin(axis=1))


def dice_at(dice_NCT: Floats, places_C: Ints) -> Floats:
    """Return the Dice [N, C] at one threshold per class, given as its place in `THRESHOLDS`."""
    return dice_NCT[:, np.arange(dice_NCT.shape[1]), places_C]
