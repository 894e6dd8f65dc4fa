"""Public data sets are used as they are unpacked: which of their folders is trained on, scored and checked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.check.files import count_files
from data.check.survey import check_dataset
from data.cutout.split import split
from data.cutout.task import foreground
from data.folds.split import split_by_group
from utils.errors import UserError


def write_pairs(images: Path, masks: Path, *, count: int = 4, seed: int = 0, suffix: str = ".jpg") -> None:
    """Write photographs of noise with a square of another colour, and their masks."""
    for number in range(count):
        draws = np.random.default_rng((seed, number))
        image, mask = draws.integers(0, 120, (40, 56, 3), np.uint8), np.zeros((40, 56), np.uint8)
        top, left = draws.integers(4, 16, 2)
        mask[top : top + 14, left : left + 20] = 255
        image[mask > 0] += np.uint8(120)
        for folder, name, pixels in ((images, f"p{number}{suffix}", image), (masks, f"p{number}.png", mask)):
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), pixels)


@pytest.mark.parametrize(
    ("train", "test", "images", "masks"),
    [
        ("train", "test", "images", "masks"),
        ("train", "validation", "original", "mask"),
        ("DUTS-TR", "DUTS-TE", "DUTS-T{}-Image", "DUTS-T{}-Mask"),
        ("DIS-TR", "DIS-VD", "im", "gt"),
    ],
)
def test_a_public_data_set_is_used_as_it_is_unpacked(
    train: str, test: str, images: str, masks: str, tmp_path: Path
) -> None:
    for seed, (side, letter) in enumerate(((train, "R"), (test, "E"))):
        write_pairs(tmp_path / side / images.format(letter), tmp_path / side / masks.format(letter), seed=seed)
    layout = foreground.layout
    assert layout.labelled_in(tmp_path) == tmp_path / train
    assert layout.scored_in(tmp_path) == layout.unlabelled_in(tmp_path) == tmp_path / test
    samples = layout.find_samples(layout.labelled_in(tmp_path), labelled=True)
    assert [len(side) for side in split_by_group(samples, 4, 0)] == [3, 1]
    assert len(layout.find_images(layout.unlabelled_in(tmp_path))) == 4
    counted = count_files(foreground, tmp_path)
    assert counted["labelled"] == train
    assert counted["splits"] == {name: {"images": 4, "labels": 4} for name in (train, test)}
    survey = check_dataset(foreground, tmp_path)
    assert [split.name for split in survey.splits] == [train, test]
    assert {finding.kind for finding in survey.findings} <= {"short_set"}


def test_the_masks_of_splits_below_a_folder_are_no_photographs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for seed, side in enumerate(("train", "test")):
        write_pairs(tmp_path / side / "images", tmp_path / side / "masks", seed=seed)
    found = foreground.layout.find_images(tmp_path)
    assert len(found) == 8
    assert {sample.image.parent.name for sample in found} == {"images"}
    assert "8 masks of" in caplog.text


def test_a_folder_of_images_and_masks_is_trained_on_as_a_whole_and_has_no_test_images(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks")
    layout = foreground.layout
    assert layout.labelled_in(tmp_path) == tmp_path
    assert not check_dataset(foreground, tmp_path).findings
    with pytest.raises(UserError, match="test: no such folder"):
        layout.find_images(layout.unlabelled_in(tmp_path))


def test_a_root_that_nothing_is_known_of_is_said_to_lack_the_usual_folders(tmp_path: Path) -> None:
    assert foreground.layout.labelled_in(tmp_path) == tmp_path / "train"
    with pytest.raises(UserError, match="neither train/ nor test/ in it"):
        check_dataset(foreground, tmp_path)


def test_a_list_of_pairs_is_a_whole_set(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks")
    split(tmp_path / "images", tmp_path / "masks", tmp_path / "set", mode="list")
    assert not check_dataset(foreground, tmp_path / "set").findings


def test_a_public_data_set_that_is_short_is_named_with_its_number(tmp_path: Path) -> None:
    write_pairs(tmp_path / "DUTS-TR" / "DUTS-TR-Image", tmp_path / "DUTS-TR" / "DUTS-TR-Mask")
    write_pairs(tmp_path / "HKU-IS" / "imgs", tmp_path / "HKU-IS" / "gt", suffix=".png")
    for root, file, found in (
        (tmp_path, "DUTS-TR", "4 images with masks, DUTS-TR has 10,553"),
        (tmp_path / "HKU-IS", ".", "4 images with masks, HKU-IS has 4,447"),
    ):
        (finding,) = check_dataset(foreground, root).findings
        assert (finding.kind, finding.file, finding.found) == ("short_set", file, found)


def test_what_lacks_a_partner_is_named_in_the_folders_that_are_there(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train" / "im", tmp_path / "train" / "gt")
    (tmp_path / "train" / "im" / "p1.jpg").unlink()
    (tmp_path / "train" / "gt" / "p2.png").unlink()
    second, first = check_dataset(foreground, tmp_path).findings
    assert (first.file, first.found) == ("train/im/p2.jpg", "no label gt/p2.png")
    assert (second.file, second.found) == ("train/gt/p1.png", "no image im/p1")
