"""Image, size and label are in one frame: the pixels as they are stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.check.refuse import refuse_broken
from data.check.survey import check_dataset
from data.films.reader import image_size, read_image
from data.hand_bone.task import hand_bone
from data.image import orientation_of, read_grey, read_rgb
from data.polygons.layout import find_samples
from tests.contest import write_split
from tests.hostile import move_points, note_orientation, save_as
from utils.arrays import Image
from utils.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_split(tmp_path / "train", patients=3)
    return tmp_path


@pytest.fixture
def picture() -> Image:
    """A smooth picture, uint8[24, 40, 3]; no two of its channels, sides or corners are alike."""
    y, x = np.mgrid[:24, :40]
    return np.dstack([6 * x, 10 * y, 2 * x + 5 * y]).astype(np.uint8)


def images_of(root: Path) -> list[Path]:
    return sorted((root / "train" / "DCM").rglob("*.png"))


def labels_of(root: Path) -> list[Path]:
    return sorted((root / "train" / "outputs_json").rglob("*.json"))


def check(root: Path) -> None:
    """Check a data set as training does before its first step."""
    refuse_broken(find_samples(root / "train", labelled=True), hand_bone.check)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_orientation_in_exif_moves_neither_image_nor_size(tmp_path: Path, picture: Image, orientation: int) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.ascontiguousarray(picture[:, :, ::-1]))
    before = read_image(path)
    note_orientation(path, orientation)
    assert orientation_of(path.read_bytes()) == orientation
    assert np.array_equal(read_image(path), before)
    assert image_size(path) == before.shape == (24, 40)


def test_an_orientation_is_named_before_training_and_found_by_the_check(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = hand_bone.read(find_samples(root / "train", labelled=True)[1])
    note_orientation(images_of(root)[1], 3)
    after = hand_bone.read(find_samples(root / "train", labelled=True)[1])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    with caplog.at_level(logging.WARNING):
        check(root)
    assert "1 of 6 images are doubtful: ID001/image0001_1.png (EXIF orientation 3 is ignored" in caplog.text
    found = [one for one in check_dataset(hand_bone, root).findings if one.kind == "orientation"]
    assert [(one.file, one.found) for one in found] == [("train/DCM/ID001/image0001_1.png", "its EXIF says 3")]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_readers_of_photographs_turn_image_and_mask_alike(
    tmp_path: Path, picture: Image, suffix: str, orientation: int
) -> None:
    from PIL import Image as Pillow

    path = tmp_path / f"a{suffix}"
    photograph = Pillow.fromarray(picture)
    exif = photograph.getexif()
    exif[0x0112] = orientation
    photograph.save(path, exif=exif)
    assert orientation_of(path.read_bytes()) == orientation
    upright = {1: picture, 3: picture[::-1, ::-1], 6: np.rot90(picture, -1), 8: np.rot90(picture)}[orientation]
    assert np.abs(read_rgb(path).astype(int) - upright).mean() < 4
    assert read_grey(path).shape == upright.shape[:2]


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA", "RGBA"])
def test_every_reader_decodes_every_kind_of_png_alike(tmp_path: Path, picture: Image, mode: str) -> None:
    path = tmp_path / "a.png"
    save_as(path, picture, mode)
    grey = read_image(path)
    assert grey.shape == image_size(path)
    assert np.array_equal(grey, read_grey(path))
    luma = cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(grey - luma).max() <= 1


def test_cmyk_becomes_its_colours(tmp_path: Path, picture: Image) -> None:
    path = tmp_path / "a.jpg"
    save_as(path, picture, "CMYK", quality=95)
    assert np.abs(read_rgb(path).astype(int) - picture).mean() < 4
    luma = cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(read_grey(path) - luma).max() <= 1


@pytest.mark.parametrize("read", [read_grey, read_rgb])
def test_16_bits_are_refused_by_name(tmp_path: Path, read: Callable[[Path], Image]) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((8, 8), 300, np.uint16))
    with pytest.raises(UserError, match=rf"{path}: 16 bits per channel, expected 8"):
        read(path)


SMALLER: dict[str, Callable[[float], float]] = {
    "half": lambda value: value * 0.5,
    "0 to 1": lambda value: value / 64,
    "few pixels": lambda value: 30 + value / 40,
}


@pytest.mark.parametrize(("scale", "remedy"), [(0.7, "1.43"), (0.9, "1.1"), (1.25, "0.8")])
def test_a_label_of_another_scale_is_found_by_its_image(root: Path, scale: float, remedy: str) -> None:
    label = labels_of(root)[2]
    assert not [one for one in check_dataset(hand_bone, root).findings if one.kind == "frame"]
    move_points(label, lambda value: value * scale)
    (found,) = [one for one in check_dataset(hand_bone, root).findings if one.kind == "frame"]
    assert found.file == str(label.relative_to(root))
    assert f"fit the image better at {remedy} times their size" in found.found


@pytest.mark.parametrize("move", SMALLER.values(), ids=SMALLER)
@pytest.mark.parametrize("files", [1, 6])
def test_labels_in_a_smaller_frame_are_refused_and_found_by_name(
    root: Path, move: Callable[[float], float], files: int
) -> None:
    check(root)
    broken = labels_of(root)[:files]
    for label in broken:
        move_points(label, move)
    with pytest.raises(UserError) as refused:
        check(root)
    assert all(f"{label}: all outlines " in str(refused.value) for label in broken)
    assert f"{files} of 6 images cannot be used" in str(refused.value)
    found = [one.file for one in check_dataset(hand_bone, root).findings if one.kind == "frame"]
    assert found == [str(label.relative_to(root)) for label in broken]
