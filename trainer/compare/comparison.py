"""Where two predictions differ.

Numbers are found in run space. The page shows, for every class, the image where the two differ most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.masks.rle import Runs, area, dice, intersection
from data.sample import Sample
from data.submission.reader import refuse_other_images
from data.task import Predictions, Task
from trainer.evaluate import Truth, frame_of, refuse_missing, truth_of
from utils.arrays import Image, Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import track

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """One class of one image: how two masks differ."""

    image: str
    index: int
    """The class's place among the task's."""
    dice: float
    """0..1; two empty masks are equal."""
    only_a_px: int
    only_b_px: int
    against_truth: tuple[float, float] | None
    """Dice of either with the true mask, where there is one."""


@dataclass(frozen=True)
class Comparison:
    """Two predictions side by side, on the images of the truth where there is one."""

    task: Task
    a: Predictions
    b: Predictions
    truth: Truth | None
    samples: Mapping[str, Sample]
    """Where the images are, as far as it is known."""
    size_of: Callable[[str], Size]
    differences: Sequence[Difference]
    """Of every image and class, the greatest first."""

    @property
    def scored(self) -> bool:
        """Whether there is a truth."""
        return self.truth is not None

    def masks_of(self, difference: Difference) -> list[Runs]:
        """The runs of that class in A, in B and, where there is one, in the truth."""
        return [runs[difference.index] for runs in self.all_masks_of(difference.image)]

    def all_masks_of(self, name: str) -> list[Sequence[Runs]]:
        """The same for all classes of an image."""
        truth = () if self.truth is None else (self.truth.runs_of(name)[0],)
        return [self.a.runs[name], self.b.runs[name], *truth]

    def film_of(self, name: str) -> Image | None:
        """The image itself; None where it is not known."""
        return self.task.read_image(self.samples[name].image) if name in self.samples else None


def compare_files(
    task: Task, a: Path, b: Path, *, truth: Path | None, images: Path | None, size_hw: Size | None
) -> Comparison:
    """Hold two predictions against each other, and each against the truth where there is one.

    The size of the images is read from their files if `images` or a folder as truth holds them; else it is `size_hw`,
    or the task's typical one. Raises `UserError` for files that are malformed or do not speak of the same images.
    """
    first, second = map_ahead(task.output.read, [a, b])
    refuse_other_images([first, second])
    against = None if truth is None else truth_of(task, truth, size_hw)
    if against is not None and truth is not None:
        refuse_missing(first, against, truth)
    names = first.names if against is None else against.names
    samples = _samples(task, names, images, against)
    frame_hw = None if samples else frame_of(task, first, size_hw)

    def size_of(name: str) -> Size:
        return frame_hw or task.image_size(samples[name].image)

    def one(name: str) -> list[Difference]:
        size = size_of(name)
        true = None if against is None else against.runs_of(name)[0]
        return differences_of(name, first.of(name, size), second.of(name, size), true)

    found = [its for of_image in track(map_ahead(one, names), "Comparing", len(names)) for its in of_image]
    found.sort(key=lambda its: (its.dice, -its.only_a_px - its.only_b_px))
    return Comparison(task, first, second, against, samples, size_of, found)


def differences_of(name: str, a: Sequence[Runs], b: Sequence[Runs], true: Sequence[Runs] | None) -> list[Difference]:
    """One image's difference in each class."""
    found = []
    for index, (of_a, of_b) in enumerate(zip(a, b, strict=True)):
        both = intersection(of_a, of_b)
        against_truth = None if true is None else (dice(of_a, true[index]), dice(of_b, true[index]))
        found.append(Difference(name, index, dice(of_a, of_b), area(of_a) - both, area(of_b) - both, against_truth))
    return found


def _samples(task: Task, names: Sequence[str], images: Path | None, truth: Truth | None) -> Mapping[str, Sample]:
    """Where the images are; empty where nothing says so."""
    if images is None:
        return truth.sample if truth is not None else {}
    samples = {sample.name: sample for sample in task.layout.find_images(images)}
    missing = [name for name in names if name not in samples]
    if missing:
        raise UserError(
            f"--images {images}: {len(missing)} of the {len(names)} images are not there, {', '.join(missing[:5])}"
            f"{' …' if len(missing) > 5 else ''}. {did_you_mean(missing[0], samples)}"
        )
    return samples
