"""A task: its classes, how its samples are found and read, how its masks are written.

Everything between reading and writing works for any task and never asks which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from data.encoding import BITS, Encoding
from data.hand_bone.annotation import read_polygons
from data.hand_bone.classes import BONE_GROUPS, BONES
from data.hand_bone.wrist import BENT, STRAIGHT, TEST_SHARE_BENT, WRISTS, angle_of_label, wrist_in_words, wrist_of
from data.image import Image, Size, check_image, image_size, read_image
from data.masks.packed import Packed, fill_polygons
from data.masks.rle import Runs
from data.sample import Sample, find_images, find_samples
from data.submission.writer import SubmissionWriter
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError


class FindSamples(Protocol):
    """A split folder → its samples, sorted, without the excluded."""

    def __call__(self, split_dir: Path, *, labelled: bool, exclude: Collection[str] = ...) -> list[Sample]: ...


class MaskWriter(Protocol):
    """Takes each sample's native-size packed mask, in the order of the samples it was opened with."""

    @property
    def done(self) -> int:
        """Samples whose masks are written, those of an interrupted call included: the next mask is that of this one."""

    def write_mask(self, name: str, packed: Packed, /) -> None: ...


OpenWriter: TypeAlias = Callable[[Path, Sequence[Sample], str, int], AbstractContextManager[MaskWriter]]
StratumOf: TypeAlias = Callable[[Sequence[Runs], Size], "str | None"]


def _no_stratum(runs_of_classes: Sequence[Runs], size_hw: Size) -> None:
    return None


def _no_stratum_of_label(sample: Sample) -> None:
    return None


@dataclass(frozen=True)
class Task:
    """What one kind of segmentation says about its data; a new kind is a new value in `TASKS`."""

    name: str
    classes: tuple[str, ...]
    find_samples: FindSamples
    find_images: Callable[[Path], list[Sample]]
    """A folder of images alone → its samples, sorted."""
    read_image: Callable[[Path], Image]
    image_size: Callable[[Path], Size]
    """The size that `read_image` would return, without decoding."""
    read_mask: Callable[[Sample, Size], Packed]
    """A labelled sample and its image's size → its packed mask at that size."""
    check: Callable[[Sample], None]
    """Raises `UserError` for a sample that cannot be read or, if labelled, trained on; much quicker than reading it."""
    open_writer: OpenWriter
    """The output file, the samples to come, the origin of their masks (in one line: what all of them depend on) and how
    many are predicted at a time → a writer, to be used in a `with`."""
    groups: Mapping[str, tuple[str, ...]]
    """Families of classes that reports speak of; every class in exactly one."""
    channels: int = 1
    """Of an image: 1, grey uint8[H, W], or 3, RGB uint8[H, W, 3]."""
    encoding: Encoding = BITS
    """How `read_mask` stores the classes."""
    strata: tuple[str, ...] = ()
    """Kinds of images whose scores are told apart."""
    stratum_of: StratumOf = _no_stratum
    """An image's true runs and size → its stratum, None where it cannot be told."""
    stratum_of_label: Callable[[Sample], str | None] = _no_stratum_of_label
    """The same of a labelled sample, without making its masks."""
    test_shares: Mapping[str, float] = field(default_factory=dict)
    """The share of each stratum among the images that are scored in the end, where it is known to be another one."""

    def read(self, sample: Sample) -> tuple[Image, Packed]:
        """Image uint8[H, W] and packed mask uint8[H, W, K] of a labelled sample, at native size."""
        image = self.read_image(sample.image)
        return image, self.read_mask(sample, (image.shape[0], image.shape[1]))


def _read_bones(sample: Sample, size_hw: Size) -> Packed:
    if sample.label is None:
        raise UserError(f"{sample.image}: no label. Train and score on images with {sample.patient}/….json only.")
    return fill_polygons(read_polygons(sample.label, BONES), size_hw, len(BONES))


def _check_bones(sample: Sample) -> None:
    """The image's checksums are verified, its pixels not decoded; the label is read whole and lies on the image."""
    height, width = check_image(sample.image)
    for index, ring in read_polygons(sample.label, BONES) if sample.label is not None else ():
        if (ring.max(axis=0) < 0).any() or (ring.min(axis=0) >= (width, height)).any():
            raise UserError(
                f"{sample.label}: {BONES[index]} lies outside the image of {height} x {width} px. "
                "Was the image resized, or is this another image's label?"
            )


def _wrist_of_label(sample: Sample) -> str | None:
    return wrist_in_words(angle_of_label(sample.label))


def _open_submission(path: Path, samples: Sequence[Sample], origin: str, group: int) -> SubmissionWriter:
    return SubmissionWriter(path, samples, BONES, origin=origin, group=group)


hand_bone = Task(
    name="hand_bone",
    classes=BONES,
    find_samples=find_samples,
    find_images=find_images,
    read_image=read_image,
    image_size=image_size,
    read_mask=_read_bones,
    check=_check_bones,
    open_writer=_open_submission,
    groups=BONE_GROUPS,
    strata=WRISTS,
    stratum_of=wrist_of,
    stratum_of_label=_wrist_of_label,
    test_shares={STRAIGHT: 1 - TEST_SHARE_BENT, BENT: TEST_SHARE_BENT},
)

TASKS = {"hand_bone": hand_bone}


def task_named(name: str) -> Task:
    """The task of this name; a `UserError` with the nearest one if there is none."""
    if name not in TASKS:
        raise UserError(f"'{name}' is not a task. {did_you_mean_of_all(name, TASKS)}")
    return TASKS[name]
