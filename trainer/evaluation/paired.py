"""Whether B is better than A, by the scores of both on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.bootstrap import Interval, mean_interval
from utils.arrays import Floats
from utils.metric import Metric
from utils.text import pluralize

FEWEST = 6
"""With n groups the smallest p that a paired test can give is 2 / 2^n: with fewer than six it is above 5 %."""
SIGNIFICANT = 0.05
RESAMPLES = 9999
"""Permutations; all of them if there are not more."""
AT_ONCE = 500
"""Permutations in memory at a time."""


@dataclass(frozen=True)
class PairedTest:
    """The scores of A and B, and whether they differ by more than chance."""

    a: float
    """The mean score over images."""
    b: float
    difference: Interval
    """Of B less A, with the limits that drawing groups of images again gives."""
    p: float
    """How probable so large a mean difference is if A and B are equally good: two-sided, by permutation."""
    images: int
    groups: int
    are_known: bool
    """Whether the groups of the images are known; if not, each image is regarded as a group of its own."""

    @property
    def is_significant(self) -> bool:
        """Whether both the interval and the permutations exclude that A and B are equally good."""
        return self.p < SIGNIFICANT and not self.difference.low <= 0 <= self.difference.high


def paired_test(a: Mapping[str, float], b: Mapping[str, float], groups: Mapping[str, str]) -> PairedTest:
    """Compare the scores of the same images by A and by B.

    Images of one group, such as those of one person, resemble each other: `groups` says which group an image is of. The
    interval draws whole groups, and the permutation test (Fisher; SciPy) exchanges A and B for whole groups. Raises
    `ValueError` without images.
    """
    images = sorted(a)
    difference = np.array([b[image] - a[image] for image in images])
    of_images = [groups.get(image, image) for image in images]
    return PairedTest(
        float(np.mean([a[image] for image in images])),
        float(np.mean([b[image] for image in images])),
        mean_interval(difference, groups=of_images),
        permutation_p(difference, of_images),
        len(images),
        len(set(of_images)),
        all(image in groups for image in images),
    )


def permutation_p(difference: Floats, groups: list[str]) -> float:
    """Return how probable so large a mean is if the sign of each group's differences is a matter of chance."""
    from scipy.stats import permutation_test

    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.bincount(group_of, weights=difference)
    if len(sums) < 2 or not sums.any():
        return 1.0
    found = permutation_test((sums,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, batch=AT_ONCE, rng=0)
    return float(found.pvalue)


def verdict(test: PairedTest, metric: Metric, group: str) -> str:
    """Say in one sentence whether B is better than A. `group` is the task's word for a group."""
    its, scores = test.difference, f"{metric.label} {test.b:.4f} against {test.a:.4f}"
    if test.groups < FEWEST:
        few = f"that takes {FEWEST} {group}s, and here are {basis(test, group)}."
        return f"Whether B is better than A cannot be said, {scores}: {few}"
    limits = f"95 % confidence interval {its.low:+.4f} to {its.high:+.4f}"
    about = f"{scores}, a difference of {its.mean:+.4f} ({limits}; {said_of_p(test.p)}; {basis(test, group)})."
    if not test.is_significant:
        return f"Whether B is better than A cannot be said: {about}"
    is_better = (its.mean > 0) == metric.higher_is_better
    return f"B is {'better' if is_better else 'worse'} than A: {about}"


def said_of_p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def basis(test: PairedTest, group: str) -> str:
    """Say what the test rests on: how many groups, or that the groups are not known."""
    if not test.are_known:
        return f"{pluralize(test.images, 'image')}, each regarded as a {group} of its own"
    return pluralize(test.groups, group)
