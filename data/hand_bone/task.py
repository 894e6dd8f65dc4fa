"""The 29 bones of a hand in radiographs: the contest's classes, files and submission as a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.check.checks import Checks
from data.films.reader import check_image, image_size, read_image
from data.hand_bone.annotation import read_polygons, survey_polygons
from data.hand_bone.checks.files import check_files
from data.hand_bone.checks.kinds import HAND_KINDS
from data.hand_bone.checks.labels import look_at_label
from data.hand_bone.checks.suspects import compare_hands
from data.hand_bone.classes import BONE_GROUPS, BONES
from data.hand_bone.fit import is_outside, misfit_of
from data.hand_bone.layout import GROUP, IMAGES, LABELS, find_images, find_samples, label_name, list_files
from data.hand_bone.wrist import (
    BENT,
    STRAIGHT,
    TEST_SHARE_BENT,
    WRISTS,
    angle_of_label,
    describe,
    wrist_in_words,
    wrist_of,
)
from data.masks import rle
from data.masks.packed import dice, fill_polygons
from data.sample import Sample
from data.submission.reader import Submission, read_submission
from data.submission.writer import SubmissionWriter
from data.task import Layout, Output, Strata, Task, TaskMetric, Typical
from utils.arrays import Packed, Ring, Size
from utils.errors import UserError
from utils.metric import Metric


def _read_bones(sample: Sample, size_hw: Size) -> Packed:
    if sample.label is None:
        raise UserError(f"{sample.image}: no label. Train and score on images with {sample.group}/….json only.")
    return fill_polygons(read_polygons(sample.label, BONES), size_hw, len(BONES))


def _check_bones(sample: Sample) -> str | None:
    """Verify the image's checksums without decoding it, read the label whole, and check that it lies on the image."""
    size_hw, orientation = check_image(sample.image)
    polygons = read_polygons(sample.label, BONES) if sample.label is not None else []
    for index, ring in polygons:
        if is_outside(ring, size_hw):
            raise UserError(
                f"{sample.label}: {BONES[index]} lies outside the image of {size_hw[0]} x {size_hw[1]} px. "
                "Was the image resized, or is this another image's label?"
            )
    misfit = misfit_of((ring for _, ring in polygons), size_hw)
    if misfit is not None:
        raise UserError(f"{sample.label}: {misfit}. Points must be pixels of the image's own frame.")
    if orientation != 1:
        return f"EXIF orientation {orientation} is ignored, the stored pixels are used"
    return None


def _angle_deg(sample: Sample) -> float:
    return angle_of_label(sample.label)


def _outlines(label: Path) -> list[tuple[str, Ring]]:
    """Return what can be read of a label."""
    return [(BONES[index], ring) for index, ring in survey_polygons(label, BONES)[0]]


def _render(folder: Path, images: int, side_px: int) -> Path:
    from data.phantom.dataset import PhantomSet, write_dataset

    for _ in write_dataset(folder, PhantomSet(-(-images // 2), 0, side_px), jobs=1):
        pass
    return folder / "train"


def _open_submission(path: Path, samples: Sequence[Sample], origin: str, at_once: int) -> SubmissionWriter:
    return SubmissionWriter(path, samples, BONES, image_size, origin=origin, group=at_once)


def _read_submission(path: Path) -> Submission:
    return read_submission(path, BONES)


hand_bone = Task(
    name="hand_bone",
    classes=BONES,
    layout=Layout(
        find_samples=find_samples,
        find_images=find_images,
        list_files=list_files,
        label_name=label_name,
        folders=(IMAGES, LABELS),
        described="train/DCM, train/outputs_json, test/DCM",
        unlabelled=Path("test") / IMAGES,
        group=GROUP,
    ),
    read_image=read_image,
    image_size=image_size,
    read_mask=_read_bones,
    check=_check_bones,
    output=Output("submission.csv", _open_submission, _read_submission),
    groups=BONE_GROUPS,
    metrics=(TaskMetric(Metric("dice", "Dice"), of_masks=dice, of_runs=rle.dice),),
    describe=describe,
    typical=Typical(size_hw=(2048, 2048), train_images=640, valid_images=160),
    strata=Strata(
        name="wrist",
        names=WRISTS,
        measure=_angle_deg,
        of_measure=wrist_in_words,
        measured="|angle|",
        unit="°",
        of_runs=wrist_of,
        noun="hands",
        test_shares={STRAIGHT: 1 - TEST_SHARE_BENT, BENT: TEST_SHARE_BENT},
        weighted=BENT,
    ),
    checks=Checks(
        kinds=HAND_KINDS,
        of_files=check_files,
        of_label=look_at_label,
        compare=compare_hands,
        outlines=_outlines,
        one_size=True,
        one_look=True,
        all_classes=True,
    ),
    render=_render,
)
