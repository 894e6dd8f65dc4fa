from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from data import pseudo
from data.cutout.task import foreground
from data.films.reader import image_size
from data.hand_bone.task import hand_bone
from data.masks.packed import pack
from data.masks.rle import encode
from data.pseudo import agreement_of, write_pseudo_labels
from data.submission.writer import SubmissionWriter
from tests.contest import SIDE_PX, write_split
from utils.errors import UserError

CLASSES = hand_bone.classes


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_split(tmp_path / "data" / "test", patients=2, first=40)
    return tmp_path / "data" / "test" / "DCM"


def predict(path: Path, images: Path, *, noise: float = 0.0, seed: int = 0, spoil: object = None) -> Path:
    """A submission of blobs with holes, specks and lines; `noise` flips pixels; `spoil` empties a class of an image."""
    samples = hand_bone.layout.find_images(images)
    with SubmissionWriter(path, samples, CLASSES, image_size) as writer:
        for number, sample in enumerate(samples):
            rng = np.random.default_rng(number)
            coarse = rng.random((SIDE_PX // 8, SIDE_PX // 8, len(CLASSES))) < 0.5
            stack = coarse.repeat(8, axis=0).repeat(8, axis=1) ^ (rng.random((SIDE_PX, SIDE_PX, len(CLASSES))) < 0.003)
            flipped = np.random.default_rng((seed, number)).random(stack.shape) < noise
            if spoil == number:
                stack[..., CLASSES.index("Pisiform")] = False
                flipped[..., CLASSES.index("Pisiform")] = False
            writer.write_mask(sample.name, pack(stack ^ flipped))
    return path


def test_refilled_labels_are_the_masks_of_the_first_file(images: Path, tmp_path: Path) -> None:
    first = predict(tmp_path / "a.csv", images)
    write_pseudo_labels(hand_bone, [first, predict(tmp_path / "b.csv", images, noise=0.1)], images, tmp_path / "out")
    samples = hand_bone.layout.find_samples(tmp_path / "out" / "train", labelled=True)
    with SubmissionWriter(tmp_path / "again.csv", samples, CLASSES, image_size) as writer:
        for sample in samples:
            hand_bone.check(sample)
            writer.write_mask(sample.name, hand_bone.read(sample)[1])
    assert (tmp_path / "again.csv").read_bytes() == first.read_bytes()


def test_images_are_links_or_copies_of_equal_bytes(images: Path, tmp_path: Path) -> None:
    csv = predict(tmp_path / "a.csv", images)
    for name, copy in (("linked", False), ("copied", True)):
        write_pseudo_labels(hand_bone, [csv], images, tmp_path / name, copy=copy)
        for image in images.glob("*/*.png"):
            placed = tmp_path / name / "train" / "DCM" / image.parent.name / image.name
            assert placed.is_symlink() is not copy
            assert placed.read_bytes() == image.read_bytes()


def test_agreement_is_the_mean_dice_over_pairs() -> None:
    masks = [np.zeros((4, 4, 1), np.bool_) for _ in range(3)]
    masks[0][:2], masks[1][:2], masks[2][1:3] = True, True, True
    runs = [encode(pack(mask), 1) for mask in masks]
    assert agreement_of(runs).tolist() == [pytest.approx((1 + 0.5 + 0.5) / 3)]
    assert agreement_of(runs[:1]).tolist() == [1.0]


def test_an_image_with_a_doubtful_class_is_left_out_whole_and_told(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = [predict(tmp_path / "a.csv", images), predict(tmp_path / "b.csv", images, spoil=1)]
    judged = write_pseudo_labels(hand_bone, files, images, tmp_path / "out", min_agreement=0.9)
    assert [one.doubtful for one in judged] == [(), ("Pisiform",), (), ()]
    names = {sample.name for sample in hand_bone.layout.find_samples(tmp_path / "out" / "train", labelled=True)}
    assert names == {judged[index].sample.name for index in (0, 2, 3)}
    told = "left out because a class agrees less than 0.9: 1 of 4 images (Pisiform in 1): ID040/image0040_1.png"
    assert told in caplog.text
    manifest = json.loads((tmp_path / "out" / "pseudo.json").read_text())
    assert [its["taken"] for its in manifest["images"].values()] == [True, False, True, True]
    assert manifest["images"]["ID040/image0040_1.png"]["agreement"]["Pisiform"] == 0


def test_a_file_that_hardly_overlaps_the_others_is_named(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [predict(tmp_path / "a.csv", images), predict(tmp_path / "b.csv", images, noise=0.01)]
    write_pseudo_labels(hand_bone, [*files, predict(tmp_path / "c.csv", images, noise=1.0)], images, tmp_path / "out")
    named = [message.partition(": its masks hardly") for message in caplog.messages]
    assert [file for file, hardly, _ in named if hardly] == [f"{tmp_path}/c.csv"]


def test_an_image_without_a_class_is_left_out(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    judged = write_pseudo_labels(hand_bone, [predict(tmp_path / "a.csv", images, spoil=0)], images, tmp_path / "out")
    assert [one.is_usable for one in judged] == [False, True, True, True]
    assert "left out because a class is absent: 1 of 4 images (Pisiform in 1)" in caplog.text


def refused(tmp_path: Path, images: Path, *paths: Path, sentence: str, **settings: object) -> None:
    with pytest.raises(UserError, match=sentence):
        write_pseudo_labels(hand_bone, paths, images, tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_settings_and_files_that_cannot_be_are_refused(images: Path, tmp_path: Path) -> None:
    a, b = predict(tmp_path / "a.csv", images), predict(tmp_path / "b.csv", images, noise=0.5, seed=1)
    refused(tmp_path, images, a, min_agreement=0.9, sentence="--min-agreement: one file agrees with itself")
    refused(
        tmp_path, images, a, b, min_agreement=1.5, sentence="--min-agreement 1.5: expected a Dice above 0 and up to 1"
    )
    refused(
        tmp_path, images, a, b, min_agreement=0.99, sentence=r"no image is left\. The best one's classes agree by 0\."
    )
    refused(tmp_path, tmp_path / "no", a, sentence="no: no such folder")
    shutil.rmtree(images / "ID041")
    refused(tmp_path, images, a, sentence=r"2 of the 4 images of .*a\.csv are not there, image0041_0\.png, image0041_1")


def test_a_task_whose_labels_are_no_polygons_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--task foreground: pseudo labels are written as polygons"):
        write_pseudo_labels(foreground, [tmp_path], tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_masks_that_leave_their_image_leave_nothing_behind(images: Path, tmp_path: Path) -> None:
    rows = [f"image0040_0.png,{label},{SIDE_PX * SIDE_PX} 2" for label in CLASSES]
    (tmp_path / "a.csv").write_text("\n".join(["image_name,class,rle", *rows]))
    refused(tmp_path, images, tmp_path / "a.csv", sentence="finger-1: a run ends at pixel 4097, outside the image")


def test_a_root_in_use_is_kept(images: Path, tmp_path: Path) -> None:
    csv = predict(tmp_path / "a.csv", images)
    with pytest.raises(UserError, match=r"data: holds train already|--out .*a\.csv: is a file"):
        write_pseudo_labels(hand_bone, [csv], images, csv)
    write_pseudo_labels(hand_bone, [csv], images, tmp_path / "out")
    with pytest.raises(UserError, match=r"holds train already\. Name another folder, or remove it"):
        write_pseudo_labels(hand_bone, [csv], images, tmp_path / "out")


def test_masks_of_a_smaller_frame_are_suspected(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = hand_bone.layout.find_images(images)
    with SubmissionWriter(tmp_path / "a.csv", samples, CLASSES, lambda _: (32, 32)) as writer:
        for sample in samples:
            writer.write_mask(sample.name, pack(np.ones((32, 32, len(CLASSES)), np.bool_)))
    write_pseudo_labels(hand_bone, [tmp_path / "a.csv"], images, tmp_path / "out")
    assert "the masks end far above its lower edge" in caplog.text


def test_the_program_takes_what_its_help_says(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv = str(predict(tmp_path / "a.csv", images))
    arguments = ["--csv", csv, "--images", str(images), "--out", str(tmp_path / "out"), "--copy"]
    monkeypatch.setattr(sys, "argv", ["pseudo", *arguments])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    pseudo.main()
    assert len(hand_bone.layout.find_samples(tmp_path / "out" / "train", labelled=True)) == 4
