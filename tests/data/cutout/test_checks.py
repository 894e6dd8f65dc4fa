"""What a data check finds in photographs with masks: a hostile folder has all of it, and clean ones have none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data.check.survey import check_dataset
from data.cutout.checks.masks import has_ringing, is_inverted
from data.cutout.task import foreground
from data.image import ORIENTATION
from tests.data.cutout.test_layouts import write_pairs

SIZE_HW = (40, 56)


def disc(radius: int = 12) -> np.ndarray:
    mask = np.zeros(SIZE_HW, np.uint8)
    cv2.circle(mask, (28, 20), radius, 255, -1)
    return mask


def save(path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A split with a fault in each mask."""
    write_pairs(tmp_path / "train" / "images", tmp_path / "train" / "masks", count=17)
    masks = tmp_path / "train" / "masks"
    save(masks / "p0.png", np.zeros(SIZE_HW, np.uint8))
    save(masks / "p1.png", np.full(SIZE_HW, 255, np.uint8))
    save(masks / "p2.png", 255 - disc())
    save(masks / "p3.png", disc(11) // 255)
    save(masks / "p4.png", disc(13)[:30])
    save(masks / "p5.png", np.rot90(disc(10)))
    save(masks / "p6.png", disc(9) // 8)
    save(masks / "p7.png", np.dstack([disc(8) // 2, disc(8) // 4, disc(8)]))
    Image.fromarray(disc(7)).convert("P", palette=Image.Palette.ADAPTIVE).save(masks / "p8.png")
    save(masks / "p9.png", np.dstack([disc(6)] * 4))
    (masks / "p10.png").unlink()
    save(masks / "p10.jpg", disc(14))
    save(masks / "p11.png", np.asarray(cv2.imdecode(cv2.imencode(".jpg", disc(15))[1], cv2.IMREAD_GRAYSCALE)))
    save(masks / "p12.png", disc(5).astype(np.uint16) * 257)
    (masks / "p13.png").unlink()
    save(masks / "p14.png", cv2.GaussianBlur(disc(16), (0, 0), 2))
    (masks / "p15.png").write_bytes(b"")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = Image.open(tmp_path / "train" / "images" / "p16.jpg")
    turned.save(tmp_path / "train" / "images" / "p16.jpg", exif=exif)
    write_pairs(tmp_path / "test" / "images", tmp_path / "test" / "masks", count=2, seed=9)
    (tmp_path / "test" / "images" / "p0.jpg").write_bytes((tmp_path / "train" / "images" / "p14.jpg").read_bytes())
    image = np.asarray(cv2.imread(str(tmp_path / "train" / "images" / "p9.jpg")))
    save(tmp_path / "test" / "images" / "p1.jpg", cv2.resize(image, (112, 80), interpolation=cv2.INTER_NEAREST))
    save(tmp_path / "test" / "masks" / "p1.png", np.asarray(cv2.resize(disc(4), (112, 80))) // 255 * 255)
    return tmp_path


def test_a_hostile_folder_has_every_finding_with_its_file(root: Path) -> None:
    survey = check_dataset(foreground, root)
    found = {(finding.kind, Path(finding.file).stem, finding.file.split("/")[0]) for finding in survey.findings}
    expected = {
        ("empty_mask", "p0"), ("full_mask", "p1"), ("inverted_mask", "p2"), ("binary_mask", "p3"),
        ("mask_size", "p4"), ("mask_size", "p5"), ("dark_mask", "p6"), ("mask_channels", "p7"), ("dark_mask", "p7"),
        ("mask_channels", "p9"), ("lossy_mask", "p10"), ("lossy_mask", "p11"), ("bad_label", "p12"),
        ("unpaired", "p13"), ("mixed_masks", "p14"), ("bad_label", "p15"), ("mask_size", "p16"),
        ("orientation", "p16"), ("duplicate", "p14"), ("near_duplicate", "p9"),
    }  # fmt: skip
    assert {(kind, stem) for kind, stem, split in found if split == "train"} == expected
    assert not {kind for kind, _, split in found if split == "test"}
    (turned,) = (finding for finding in survey.findings if finding.kind == "mask_size" and "p16" in finding.file)
    assert "it looks turned, as if the camera's EXIF orientation was applied to one of both" in turned.found
    assert survey.faulty


def test_masks_of_0_and_1_and_a_turned_photograph_are_no_fault(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train" / "images", tmp_path / "train" / "masks")
    for path in (tmp_path / "train" / "masks").iterdir():
        save(path, np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) // 255)
    survey = check_dataset(foreground, tmp_path)
    assert {finding.kind for finding in survey.findings} == {"binary_mask"}
    assert not survey.faulty


def test_a_subject_that_fills_its_photograph_is_not_called_inverted() -> None:
    draws = np.random.default_rng(0)
    for _ in range(60):
        mask = np.zeros((128, 160), np.uint8)
        axes = tuple(map(int, draws.integers(50, 120, 2)))
        cv2.ellipse(mask, (80, int(draws.integers(50, 100))), axes, float(draws.integers(180)), 0, 360, 255, -1)
        assert not is_inverted(mask > 0)
    assert is_inverted(disc() == 0)


def test_soft_and_resized_edges_are_not_taken_for_compression() -> None:
    mask = cv2.resize(disc(), (224, 160), interpolation=cv2.INTER_NEAREST)
    for sigma in (0.7, 2, 6):
        assert not has_ringing(np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8))
    assert not has_ringing(np.asarray(cv2.resize(mask, (301, 217)), np.uint8))
    for quality in (75, 95):
        encoded = cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        assert has_ringing(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8))
