"""Images that are much darker or inverted are found against a set; hands as they come are not."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.check.looks import (
    FEWEST,
    Look,
    Usual,
    look_of,
    oddity_of,
    usual_from,
    usual_look,
    usual_look_of,
)
from data.check.survey import check_dataset
from data.hand_bone.task import hand_bone
from tests.contest import write_split
from utils.arrays import Image


def hand(number: int) -> Image:
    """A bright shape on a dark ground with noise, of a brightness and size that differ from image to image."""
    rng = np.random.default_rng(number)
    image = rng.normal(12, 4, (64, 64))
    image[20:, 18 : 40 + number] += rng.uniform(60, 110)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def usual() -> Usual:
    found = usual_look([look_of(hand(number)) for number in range(12)])
    assert found is not None
    return found


def test_hands_of_different_brightness_are_usual(usual: Usual) -> None:
    assert [oddity_of(look_of(hand(number)), usual) for number in range(100, 108)] == [None] * 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: 255 - image, r"it looks inverted: skew of its grey values -0\.\d\d, usual \+0\.\d\d"),
        (lambda image: image // 16, r"mean grey value \d\.\d, usual \d\d\.\d: \d\d\.\d times darker"),
        (lambda image: np.clip(image.astype(int) * 16, 0, 255).astype(np.uint8), "times brighter|inverted"),
        (lambda image: image * 0, "times darker"),
    ],
)
def test_an_image_unlike_the_others_is_described_with_its_figure(usual: Usual, change, words: str) -> None:  # type: ignore[no-untyped-def]
    oddity = oddity_of(look_of(change(hand(3))), usual)
    assert oddity is not None
    assert re.search(words, oddity)


def test_few_images_have_no_usual_look() -> None:
    assert usual_look([Look(30, 0.5)] * (FEWEST - 1)) is None
    assert usual_look_of(lambda path: hand(0), []) is None
    assert usual_look_of(lambda path: hand(0), [Path(f"{number}") for number in range(100)]) is not None


def test_numbers_of_a_weights_file_are_read_or_nothing(usual: Usual) -> None:
    assert usual_from(usual.as_plain()) is not None
    malformed: list[object] = [None, [], {}, {"brightness": 1}]
    malformed += [{**usual.as_plain(), "skew": value} for value in ("x", "nan", None)]
    for plain in malformed:
        assert usual_from(plain) is None


def test_the_check_finds_inverted_and_dark_images(tmp_path: Path) -> None:
    write_split(tmp_path / "train", patients=5)
    images = sorted((tmp_path / "train" / "DCM").rglob("*.png"))
    for number, path in enumerate(images):
        cv2.imwrite(str(path), hand(number))
    assert not [one for one in check_dataset(hand_bone, tmp_path).findings if one.kind == "look"]
    cv2.imwrite(str(images[2]), 255 - hand(2))
    cv2.imwrite(str(images[7]), hand(7) // 16)
    found = [one for one in check_dataset(hand_bone, tmp_path).findings if one.kind == "look"]
    assert [one.file for one in found] == [str(images[index].relative_to(tmp_path)) for index in (2, 7)]
    assert [one.exclude for one in found] == [f"{path.parent.name}/{path.name}" for path in (images[2], images[7])]
