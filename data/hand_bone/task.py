"""The 29 bones of a hand in radiographs: the contest's classes, files and submission as a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data.films.reader import image_size
from data.hand_bone.checks.files import check_files
from data.hand_bone.checks.kinds import HAND_KINDS
from data.hand_bone.checks.labels import look_at_label
from data.hand_bone.checks.suspects import compare_hands
from data.hand_bone.classes import BONE_GROUPS, BONES
from data.hand_bone.fit import misfit_of
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
from data.polygons.task import Labels, check_sample, polygon_task
from data.sample import Sample
from data.task import Strata, Typical
from utils.errors import UserError


def _check_bones(sample: Sample) -> str | None:
    """Check a sample as any task of polygons does, and that all outlines together are those of a hand."""
    doubt = check_sample(_LABELS, sample)
    if sample.label is not None:
        misfit = misfit_of((ring for _, ring in _LABELS.read(sample.label)), image_size(sample.image))
        if misfit is not None:
            raise UserError(f"{sample.label}: {misfit}. Points must be pixels of the image's own frame.")
    return doubt


def _angle_deg(sample: Sample) -> float:
    return angle_of_label(sample.label)


def _render(folder: Path, images: int, side_px: int) -> Path:
    from data.phantom.dataset import PhantomSet, write_dataset

    for _ in write_dataset(folder, PhantomSet(-(-images // 2), 0, side_px), jobs=1):
        pass
    return folder / "train"


_LABELS = Labels(BONES, all_classes=True)
_POLYGONS = polygon_task(
    "hand_bone",
    BONES,
    BONE_GROUPS,
    all_classes=True,
    typical=Typical(size_hw=(2048, 2048), train_images=640, valid_images=160),
)

hand_bone = replace(
    _POLYGONS,
    check=_check_bones,
    describe=describe,
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
    checks=replace(
        _POLYGONS.checks,
        kinds={**_POLYGONS.checks.kinds, **HAND_KINDS},
        of_files=check_files,
        of_label=look_at_label,
        compare=compare_hands,
        one_size=True,
        one_look=True,
        all_classes=True,
    ),
    render=_render,
)
