"""Tasks whose labels are polygons of named classes: files of the contest, masks as bits, Dice, and a CSV of runs.

`polygons` takes the classes that a config lists. `data/hand_bone/` has a fixed list, and adds what is known of hands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.check.checks import Checks
from data.films.reader import check_image, image_size, read_image
from data.masks import rle
from data.masks.packed import dice, fill_polygons
from data.polygons.annotation import is_outside, read_polygons, survey_polygons
from data.polygons.checks import KINDS, look_at_label
from data.polygons.layout import GROUP, IMAGES, LABELS, find_images, find_samples, label_name, list_files
from data.sample import Sample
from data.submission.reader import Submission, read_submission
from data.submission.writer import SubmissionWriter
from data.task import Layout, Output, Task, TaskMetric, Typical
from utils.arrays import Packed, Ring, Size
from utils.errors import UserError
from utils.metric import Metric

if TYPE_CHECKING:
    from data.polygons.classes import ClassEntry

OTHERS = "classes"
"""The group of classes that name none."""
NOT_FOR_DIAGNOSIS = (
    "Of medical images it is for research, and not for diagnosis: it is no medical device, and nobody has tried it on "
    "patients."
)


@dataclass(frozen=True)
class Given:
    """A function whose first argument is given: as `functools.partial`, but equal to another of the same values."""

    function: Callable[..., Any]
    value: object

    def __call__(self, *args: Any) -> Any:
        return self.function(self.value, *args)


@dataclass(frozen=True)
class Labels:
    """What the labels of a task may say: its classes, and whether each label must have all of them."""

    classes: tuple[str, ...]
    all_classes: bool

    def read(self, path: Path) -> list[tuple[int, Ring]]:
        """Read the (class index, ring) pairs of a label. Raises `UserError` as `read_polygons` does."""
        return read_polygons(path, self.classes, allow_missing=not self.all_classes)


def polygon_task(
    name: str, classes: Sequence[str], groups: Mapping[str, tuple[str, ...]], *, all_classes: bool, typical: Typical
) -> Task:
    """Return a task of these classes; every class is in one group. With `all_classes` each image shows all of them."""
    labels = Labels(tuple(classes), all_classes)
    output = Output("submission.csv", Given(_open_submission, labels.classes), Given(_read_submission, labels.classes))
    return Task(
        name=name,
        classes=labels.classes,
        layout=Layout(
            find_samples=find_samples,
            find_images=find_images,
            list_files=list_files,
            label_name=label_name,
            folders=(IMAGES, LABELS),
            described="train/DCM, train/outputs_json, test/DCM",
            unlabelled=Path("test") / IMAGES,
            group=GROUP,
            groups_by_name=True,
        ),
        read_image=read_image,
        image_size=image_size,
        read_mask=Given(_read_mask, labels),
        check=Given(check_sample, labels),
        output=output,
        groups=groups,
        metrics=(TaskMetric(Metric("dice", "Dice"), of_masks=dice, of_runs=rle.dice),),
        typical=typical,
        checks=Checks(
            kinds=KINDS, of_label=Given(look_at_label, labels.classes), outlines=Given(_outlines, labels.classes)
        ),
        limits=(NOT_FOR_DIAGNOSIS,),
    )


def _read_mask(labels: Labels, sample: Sample, size_hw: Size) -> Packed:
    if sample.label is None:
        raise UserError(f"{sample.image}: no label. Train and score on images with {sample.group}/….json only.")
    return fill_polygons(labels.read(sample.label), size_hw, len(labels.classes))


def check_sample(labels: Labels, sample: Sample) -> str | None:
    """Verify the image's checksums without decoding it, read the label whole, and check that it lies on the image."""
    size_hw, orientation = check_image(sample.image)
    for index, ring in labels.read(sample.label) if sample.label is not None else ():
        if is_outside(ring, size_hw):
            raise UserError(
                f"{sample.label}: {labels.classes[index]} lies outside the image of {size_hw[0]} x {size_hw[1]} px. "
                "Was the image resized, or is this another image's label?"
            )
    if orientation != 1:
        return f"EXIF orientation {orientation} is ignored, the stored pixels are used"
    return None


def _outlines(classes: tuple[str, ...], label: Path) -> list[tuple[str, Ring]]:
    """Return what can be read of a label."""
    return [(classes[index], ring) for index, ring in survey_polygons(label, classes)[0]]


def _open_submission(
    classes: tuple[str, ...], path: Path, samples: Sequence[Sample], origin: str, at_once: int
) -> SubmissionWriter:
    return SubmissionWriter(path, samples, classes, image_size, origin=origin, group=at_once)


def _read_submission(classes: tuple[str, ...], path: Path) -> Submission:
    return read_submission(path, classes)


def with_classes(classes: tuple[ClassEntry, ...]) -> Task:
    """Return the task `polygons` with these classes; an image may lack any of them."""
    names = [entry.name for entry in classes]
    task = polygon_task("polygons", names, groups_of(classes), all_classes=False, typical=_TYPICAL)
    return replace(task, colours=tuple(entry.colour for entry in classes), of_classes=with_classes, own_classes=classes)


def groups_of(classes: Sequence[ClassEntry]) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each group, in the order of the list."""
    groups: dict[str, tuple[str, ...]] = {}
    for entry in classes:
        group = entry.group or OTHERS
        groups[group] = (*groups.get(group, ()), entry.name)
    return groups


_TYPICAL = Typical(size_hw=(1024, 1024), train_images=160, valid_images=40)
polygons = with_classes(())
