from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from data.films.reader import image_size
from data.hand_bone.task import hand_bone
from data.masks.packed import unpack_planes
from data.submission.writer import SubmissionWriter
from tests.contest import SIDE_PX
from trainer.compare.__main__ import main
from trainer.compare.comparison import Comparison, Difference, compare_files
from trainer.compare.page import rank_classes, rank_images, worst_of_classes, write_comparison
from utils.errors import UserError

SIZE = (SIDE_PX, SIDE_PX)
CLASSES = hand_bone.classes
LUNATE = CLASSES.index("Lunate")


def submit(path: Path, split: Path, *, moved_px: int = 0, lunate_px: int = 0) -> Path:
    """The truth, all of it moved to the right, and in the last image the lunate alone still further."""
    samples = hand_bone.layout.find_samples(split, labelled=True)
    with SubmissionWriter(path, samples, CLASSES, image_size) as writer:
        for sample in samples:
            packed = np.roll(hand_bone.read(sample)[1], moved_px, axis=1)
            if sample is samples[-1]:
                byte, bit = LUNATE // 8, np.uint8(1 << LUNATE % 8)
                packed[..., byte] = packed[..., byte] & ~bit | np.roll(packed[..., byte] & bit, lunate_px, axis=1)
            writer.write_mask(sample.name, packed)
    return path


@pytest.fixture
def a(root: Path, tmp_path: Path) -> Path:
    return submit(tmp_path / "a.csv", root / "test", moved_px=1)


@pytest.fixture
def b(root: Path, tmp_path: Path) -> Path:
    return submit(tmp_path / "b.csv", root / "test", moved_px=2, lunate_px=4)


def compared(a: Path, b: Path, truth: Path | None = None, images: Path | None = None) -> Comparison:
    return compare_files(hand_bone, a, b, truth=truth, images=images, size_hw=SIZE)


def test_differences_are_those_of_pixels_and_the_greatest_comes_first(root: Path, a: Path, b: Path) -> None:
    comparison = compared(a, b, root / "test")
    samples = {sample.name: sample for sample in hand_bone.layout.find_samples(root / "test", labelled=True)}
    assert len(comparison.differences) == len(samples) * len(CLASSES)
    for its in comparison.differences:
        true = unpack_planes(hand_bone.read(samples[its.image])[1], len(CLASSES))[its.index]
        further = 4 if its.index == LUNATE and its.image == max(samples) else 0
        of_a, of_b = np.roll(true, 1, axis=1), np.roll(true, 2 + further, axis=1)
        assert (its.only_a_px, its.only_b_px) == ((of_a & ~of_b).sum(), (of_b & ~of_a).sum())
        dices = [2 * (p & q).sum() / (p.sum() + q.sum()) for p, q in ((of_a, of_b), (of_a, true), (of_b, true))]
        np.testing.assert_allclose((its.dice, *(its.against_truth or ())), dices)
    dices = [its.dice for its in comparison.differences]
    assert dices == sorted(dices)
    assert (comparison.differences[0].index, comparison.differences[0].image) == (LUNATE, max(samples))


def test_classes_and_images_are_sorted_by_disagreement(a: Path, b: Path, root: Path) -> None:
    comparison = compared(a, b)
    assert rank_classes(comparison.differences)[0] == LUNATE
    assert rank_images(comparison.differences)[0] == comparison.a.names[-1]


def test_the_worst_image_of_each_class_is_taken_and_the_worst_class_comes_first() -> None:
    ranked = [(2, "x", 0.1), (0, "y", 0.2), (2, "y", 0.3), (0, "x", 0.4), (1, "x", 0.5)]
    differences = [Difference(image, index, dice, 1, 1, None) for index, image, dice in ranked]
    assert [(its.index, its.image) for its in worst_of_classes(differences)] == [(2, "x"), (0, "y"), (1, "x")]


@pytest.mark.parametrize("known", ["nothing", "images", "truth"])
def test_the_page_holds_all_it_shows(known: str, root: Path, a: Path, b: Path, tmp_path: Path) -> None:
    html = tmp_path / "pages" / "compare.html"
    truth = root / "test" if known == "truth" else None
    images = root / "test" / "DCM" if known == "images" else None
    write_comparison(hand_bone, a, b, html, truth=truth, images=images, size_hw=SIZE)
    page = html.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert page.count('src="data:image/jpeg;base64,') == len(CLASSES) + 4
    assert ('data-layer="truth"' in page) == (known == "truth")
    enlarged = page[page.index("Each class where it differs most") : page.index("<h2>Classes")]
    assert enlarged.count('data-layer="a"') == enlarged.count('data-layer="b"') == len(CLASSES)
    assert ("B − A" in page) == (known == "truth")
    assert f"{a}" in page
    assert page.index("<b>Lunate</b>") < page.index("<b>Ulna</b>")


def test_the_outcome_is_logged(
    root: Path, a: Path, b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(a), str(b), "--truth", str(root / "test"), "--html", str(tmp_path / "c.html")]
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    main()
    logged = capsys.readouterr().err
    assert "they differ most in Lunate of image0008_1.png: Dice " in logged
    assert re.search(
        r"with the truth: Whether B is better than A cannot be said, Dice 0\.\d{4} against 0\.\d{4}", logged
    )
    assert "takes 6 patients, and here are 2 patients" in logged
    assert "takes 6 patients, and here are 2 patients" in (tmp_path / "c.html").read_text()
    assert f"open {tmp_path / 'c.html'}" in logged


def refused(a: Path, b: Path, html: Path, sentence: str, **sources: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        write_comparison(hand_bone, a, b, html, **{"truth": None, "images": None, "size_hw": None, **sources})  # type: ignore[arg-type]


def test_files_that_cannot_be_compared_are_refused(root: Path, a: Path, b: Path, tmp_path: Path) -> None:
    html = tmp_path / "c.html"
    refused(a, b, html, r"a\.csv: its runs end at pixel \d+ of an image, so the images are not 2048 x 2048 px\. Give")
    refused(a, tmp_path / "no.csv", html, r"no\.csv: the submission cannot be read")
    refused(a, b, a, r"a\.csv: is read as well, and would be overwritten")
    refused(a, b, b, r"b\.csv: is read as well, and would be overwritten")
    refused(a, b, tmp_path, r"is a folder\. Name a file")
    refused(
        a, b, html, r"--images .*: 4 of the 4 images are not there, image0007_0\.png", images=root / "train" / "DCM"
    )
    refused(a, b, html, r"a\.csv: 12 of the 12 images of .*train are not in it", truth=root / "train")
    other = tmp_path / "other.csv"
    other.write_text(b.read_text().replace("image0007_0", "image0009_0"))
    refused(a, other, html, r"a\.csv: 1 of 5 images have no rows, image0009_0\.png; .*other\.csv has them")
    assert not html.exists()
