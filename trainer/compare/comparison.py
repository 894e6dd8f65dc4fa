"""Find the differences between two predictions, class by class and image by image.

Areas and Dice are computed from runs, without making pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.masks.rle import Runs, area, dice, intersection
from data.sample import Sample
from data.submission.reader import refuse_other_images
from data.task import Predictions, Task
from trainer.evaluate import Truth, frame_of, refuse_missing, truth_of
from trainer.evaluation.paired import paired_test, verdict
from utils.arrays import Image, Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.metric import Metric
from utils.parallel import map_ahead
from utils.progress import track
from utils.text import list_names

log = logging.getLogger(__name__)

DICE = Metric("dice", "Dice")
"""What masks are compared by here, whatever the task."""


@dataclass(frozen=True)
class Difference:
    """How two masks of one class in one image differ. `index` is that of the class, `only_…_px` are areas in pixels."""

    image: str
    index: int
    dice: float
    """0..1; 1 if both masks are empty."""
    only_a_px: int
    only_b_px: int
    against_truth: tuple[float, float] | None
    """Dice of A and of B with the true mask, None without a truth."""


@dataclass(frozen=True)
class Comparison:
    """Two predictions and their differences, on the images of the truth if there is one."""

    task: Task
    a: Predictions
    b: Predictions
    truth: Truth | None
    samples: Mapping[str, Sample]
    """The image files by name; empty if no folder of images is known."""
    size_of: Callable[[str], Size]
    differences: Sequence[Difference]
    """One for each image and class, the greatest first."""

    @property
    def verdict(self) -> str:
        """Whether B is better than A, in a sentence; empty without a truth."""
        if self.truth is None:
            return ""
        a, b = (self.scores(which) for which in (0, 1))
        return verdict(paired_test(a, b, self.truth.groups), DICE, self.task.layout.group)

    def scores(self, which: int) -> dict[str, float]:
        """Return the Dice of A (0) or B (1) with the truth, of each image the mean over classes."""
        of_images: dict[str, list[float]] = {}
        for case in self.differences:
            if case.against_truth is not None:
                of_images.setdefault(case.image, []).append(case.against_truth[which])
        return {image: float(np.mean(dices)) for image, dices in of_images.items()}

    @property
    def count(self) -> int:
        """How many masks of an image are compared: 3 with the truth, else 2."""
        return 2 if self.truth is None else 3

    def masks_of(self, difference: Difference) -> list[Runs]:
        """Return the runs of one class and image in A, in B and in the truth, if there is one."""
        return [runs[difference.index] for runs in self.all_masks_of(difference.image)]

    def all_masks_of(self, name: str) -> list[Sequence[Runs]]:
        """Return the runs of all classes of an image in A, in B and in the truth, if there is one."""
        truth = () if self.truth is None else (self.truth.runs_of(name)[0],)
        return [self.a.runs[name], self.b.runs[name], *truth]

    def image_of(self, name: str) -> Image | None:
        """Read an image; None if its file is not known."""
        return self.task.read_image(self.samples[name].image) if name in self.samples else None


def compare_files(
    task: Task, a: Path, b: Path, *, truth: Path | None, images: Path | None, size_hw: Size | None
) -> Comparison:
    """Compare two predictions with each other, and each with the truth if there is one.

    The size of the images is read from their files if `images` or a folder as truth holds them; else it is `size_hw`,
    or the task's typical one. Raises `UserError` for files that are malformed or that hold different images.
    """
    first, second = map_ahead(task.output.read, [a, b])
    refuse_other_images([first, second])
    against = None if truth is None else truth_of(task, truth, size_hw)
    if against is not None and truth is not None:
        refuse_missing(first, against, truth)
    names = first.names if against is None else against.names
    samples = find_images(task, names, images, against)
    frame_hw = None if samples else frame_of(task, first, size_hw)

    def size_of(name: str) -> Size:
        return frame_hw or task.image_size(samples[name].image)

    def compare_image(name: str) -> list[Difference]:
        size = size_of(name)
        true = None if against is None else against.runs_of(name)[0]
        return differences_of(name, first.of(name, size), second.of(name, size), true)

    found = [case for of_image in track(map_ahead(compare_image, names), "Comparing", len(names)) for case in of_image]
    found.sort(key=lambda case: (case.dice, -case.only_a_px - case.only_b_px))
    return Comparison(task, first, second, against, samples, size_of, found)


def differences_of(name: str, a: Sequence[Runs], b: Sequence[Runs], true: Sequence[Runs] | None) -> list[Difference]:
    """Compute the difference of one image in each class."""
    found = []
    for index, (of_a, of_b) in enumerate(zip(a, b, strict=True)):
        both = intersection(of_a, of_b)
        against_truth = None if true is None else (dice(of_a, true[index]), dice(of_b, true[index]))
        found.append(Difference(name, index, dice(of_a, of_b), area(of_a) - both, area(of_b) - both, against_truth))
    return found


def find_images(task: Task, names: Sequence[str], images: Path | None, truth: Truth | None) -> Mapping[str, Sample]:
    """Find the images in a folder, or else those of the truth, if it has any. Raises `UserError` if one is missing."""
    if images is None:
        return truth.sample if truth is not None else {}
    samples = {sample.name: sample for sample in task.layout.find_images(images)}
    missing = [name for name in names if name not in samples]
    if missing:
        raise UserError(
            f"--images {images}: {len(missing)} of the {len(names)} images are not there, {list_names(missing)}. "
            f"{did_you_mean(missing[0], samples)}"
        )
    return samples
