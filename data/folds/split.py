"""Divide groups of images into folds: all images of a group are always on the same side of a split."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data.sample import Sample
from data.task import Strata, Task
from utils.config.messages import shown
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import track

# Sentences take the task's word for a group of images as `noun`.


def split_by_group(
    samples: Sequence[Sample], folds: int, fold: int, noun: str = "group"
) -> tuple[list[Sample], list[Sample]]:
    """Return the (training, validation) samples of one fold, each in the order of `samples`.

    The folds 0..folds-1 are those of `folds_of_groups`. Raises `UserError` for a fold that does not exist and for fewer
    groups than folds.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold: {fold} is not one of the {folds} folds. Give 0 to {folds - 1}, or raise data.folds.")
    fold_of = folds_of_groups([sample.group for sample in samples], folds, noun=noun)
    train = [sample for sample in samples if fold_of[sample.group] != fold]
    valid = [sample for sample in samples if fold_of[sample.group] == fold]
    return train, valid


def folds_of_groups(
    group_of_images: Sequence[str], folds: int, seed: int | None = None, *, noun: str = "group"
) -> dict[str, int]:
    """Return the fold of each group, the one that scikit-learn's `GroupKFold` gives it: as many images in each fold.

    Groups are taken in order of their number of images, most first, and of equals the later name first. Each goes to
    the fold with the fewest images so far, and of equals the lower one. With `seed`, scikit-learn shuffles groups and
    deals them in equal numbers. (Without it the rule is written out here: importing scikit-learn takes 3 s and 150 MiB,
    which every start of a training would pay; tests compare the two.)
    """
    images = Counter(group_of_images)
    refuse_more_folds_than(len(images), folds, noun)
    if seed is not None:
        return _shuffled_folds(sorted(group_of_images), folds, seed)
    filled = [0] * folds
    fold_of = {}
    for group in sorted(images, key=lambda group: (images[group], group), reverse=True):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += images[group]
    return fold_of


def _shuffled_folds(groups: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Deal shuffled groups into folds; `groups` has a name for each image."""
    from sklearn.model_selection import GroupKFold

    splits = GroupKFold(folds, shuffle=True, random_state=seed).split(groups, groups=groups)
    return {groups[image]: fold for fold, (_, held_out) in enumerate(splits) for image in held_out}


def folds_by_strata(
    samples: Sequence[Sample],
    measures: Mapping[str, float],
    strata: Strata,
    folds: int,
    seed: int | None = None,
    *,
    noun: str = "group",
) -> dict[str, int]:
    """Return the fold of each group; images of the weighted stratum, all images and measures are spread evenly.

    `measures` is the number of each sample by name that its stratum follows from, nan if unknown. Groups are taken in
    order of their images of the weighted stratum, most first, then of their images, then of their measures. A group
    with such images goes to the fold with the fewest of them so far; then the fewest images decide, then the least sum
    of measures. `seed` shuffles each stretch of that order that is as long as there are folds. (scikit-learn's
    `StratifiedGroupKFold` takes classes instead of measures; it spreads the stratum as evenly, but images and measures
    only half as evenly.)
    """
    values: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        values[sample.group].append(measures[sample.name])
    refuse_more_folds_than(len(values), folds, noun)
    wanted = {group: sum(strata.of_measure(v) == strata.weighted for v in its) for group, its in values.items()}
    amount = {group: sum(abs(value) for value in its if math.isfinite(value)) for group, its in values.items()}
    order = sorted(values, key=lambda group: (-wanted[group], -len(values[group]), -amount[group], group))
    sums, fold_of = np.zeros((folds, 3)), {}  # of each fold so far: images of the stratum, all images, measures
    for group in shuffled_nearby(order, folds, seed):
        keys = sums if wanted[group] else sums[:, 1:]
        fold = min(range(folds), key=lambda fold: (*keys[fold].tolist(), fold))
        fold_of[group] = fold
        sums[fold] += (wanted[group], len(values[group]), amount[group])
    return fold_of


def measures_of(strata: Strata, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the number of each labelled sample by name that its stratum follows from; nan if it cannot be told."""
    measured = map_ahead(lambda sample: (sample.name, strata.measure(sample)), samples)
    return dict(track(measured, "Measuring labels", len(samples)))


def shuffled_nearby(order: Sequence[str], length: int, seed: int | None) -> Iterable[str]:
    """Return the same order; with a seed, each stretch of `length` items is shuffled."""
    if seed is None:
        return order
    rng = np.random.default_rng(seed)
    stretches = [order[start : start + length] for start in range(0, len(order), length)]
    return [stretch[place] for stretch in stretches for place in rng.permutation(len(stretch))]


def refuse_more_folds_than(groups: int, folds: int, noun: str) -> None:
    """Raise `UserError` if there are fewer groups than folds."""
    if groups < folds:
        raise UserError(f"data.folds: {folds} folds of {groups} {noun}s. Give at most one fold per {noun}.")


def refuse_other_words(task: Task, by: str) -> None:
    """Raise `UserError` unless `by` is the task's word for a group of images, or the name of its strata."""
    words = [task.layout.group, *([task.strata.name] if task.strata is not None else [])]
    if by not in words:
        raise UserError(f"--by: {shown(by)} is nothing to divide task '{task.name}' by. Valid: {', '.join(words)}.")


def divide(
    task: Task, samples: Sequence[Sample], measures: Mapping[str, float], by: str, folds: int, seed: int | None
) -> dict[str, int]:
    """Return the fold of each group; `by` is one of the words that `refuse_other_words` lets pass."""
    noun, strata = task.layout.group, task.strata
    if strata is not None and by == strata.name:
        return folds_by_strata(samples, measures, strata, folds, seed, noun=noun)
    return folds_of_groups([sample.group for sample in samples], folds, seed, noun=noun)
