from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.hand_bone.task import hand_bone
from data.masks import packed as masks
from data.masks.rle import decode
from data.sample import Sample
from data.submission.reader import read_submission
from data.task import Task
from data.tasks import TASKS
from utils.errors import UserError


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_known_by_its_name_and_its_groups_hold_each_class_once(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert sorted(label for group in task.groups.values() for label in group) == sorted(task.classes)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_reaches_worker_processes(name: str) -> None:
    assert pickle.loads(pickle.dumps(TASKS[name])) == TASKS[name]


def test_a_hand_goes_from_folder_to_submission_and_back(split_dir: Path, tmp_path: Path) -> None:
    samples = hand_bone.layout.find_samples(split_dir, labelled=True, exclude=["ID010"])
    truths = [hand_bone.read(sample) for sample in samples]
    with hand_bone.output.open(tmp_path / "s.csv", samples, "a network", 1) as writer:
        for sample, (_, packed) in zip(samples, truths, strict=True):
            writer.write_mask(sample.name, packed)
    submission = read_submission(tmp_path / "s.csv", hand_bone.classes)
    for sample, (image, packed) in zip(samples, truths, strict=True):
        assert image.shape == packed.shape[:2] == (64, 64)
        assert masks.areas(packed, 29).tolist() == [25] * 29
        np.testing.assert_array_equal(decode(submission.of(sample.name, (64, 64)), (64, 64)), packed)


def test_an_image_without_a_label_cannot_be_read_for_training(split_dir: Path) -> None:
    (sample, *_) = hand_bone.layout.find_samples(split_dir, labelled=False)
    with pytest.raises(UserError, match=r"image001a_R\.png: no label"):
        hand_bone.read(sample)


def test_a_sample_is_checked_without_decoding_its_image(split_dir: Path) -> None:
    whole, cut, unlabelled, *_ = hand_bone.layout.find_samples(split_dir, labelled=True)
    hand_bone.check(whole)
    cut.image.write_bytes(cut.image.read_bytes()[:-5])
    with pytest.raises(UserError, match="truncated"):
        hand_bone.check(cut)
    assert unlabelled.label is not None
    unlabelled.label.write_text("{}")
    with pytest.raises(UserError, match="no list 'annotations'"):
        hand_bone.check(unlabelled)


def test_damage_among_the_pixels_is_found_by_the_check(split_dir: Path) -> None:
    sample, *_ = hand_bone.layout.find_samples(split_dir, labelled=False)
    content = bytearray(sample.image.read_bytes())
    content[len(content) // 2] ^= 1
    sample.image.write_bytes(content)
    with pytest.raises(UserError, match=r"image001a_R\.png: the image is damaged"):
        hand_bone.check(sample)


def test_a_label_that_lies_outside_its_image_is_refused(split_dir: Path) -> None:
    sample, *_ = hand_bone.layout.find_samples(split_dir, labelled=True)
    cv2.imwrite(str(sample.image), np.zeros((32, 40), np.uint8))
    with pytest.raises(UserError, match=r"image001a_R\.json: .* lies outside the image of 32 x 40 px\. Was"):
        hand_bone.check(sample)


def test_a_task_of_one_class_with_image_and_mask_pairs_fits() -> None:
    cut_out = Task(
        name="cut_out",
        classes=("foreground",),
        layout=hand_bone.layout,
        read_image=lambda path: np.zeros((4, 4), np.uint8),
        image_size=lambda path: (4, 4),
        read_mask=lambda sample, size_hw: np.ones((*size_hw, 1), np.uint8),
        check=lambda sample: None,
        output=hand_bone.output,
        groups={"foreground": ("foreground",)},
        metrics=hand_bone.metrics,
        typical=hand_bone.typical,
    )
    image, packed = cut_out.read(Sample("a.png", "p", Path("a.png")))
    assert masks.areas(packed, len(cut_out.classes)).tolist() == [image.size]
    assert cut_out.stratum_of([], (4, 4)) is None
