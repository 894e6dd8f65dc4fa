"""Films of any format, in patients' folders or not, with their labels beside them or in a folder of their own."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.check.survey import check_dataset
from data.folds.split import split_by_group
from data.hand_bone.task import hand_bone
from data.polygons.layout import find_images, find_samples
from data.sample import Sample
from tests.contest import label_of, square_of
from tests.dicoms import dicom_bytes
from utils.errors import UserError

PATTERN = r"(P\d+)_"
NAMES = ("P1_l.tif", "P1_r.jpg", "P2_l.dcm", "P2_r")
"""The last one is a DICOM film that is called as some archives do."""


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """`root/train/` with two films of two patients each, and their labels beside them."""
    folder = tmp_path / "root" / "train"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        grey = np.random.default_rng(number).integers(0, 256, (64, 64), np.uint8)
        suffix = Path(name).suffix
        is_dicom = suffix in ("", ".dcm")
        content = dicom_bytes(grey) if is_dicom else cv2.imencode(suffix, grey)[1].tobytes()
        (folder / name).write_bytes(content)
        rings = [square_of(index, np.array([number % 2, 0])) for index in range(29)]
        (folder / f"{Path(name).stem}.json").write_text(json.dumps(label_of(rings)))
    return folder


def keys(samples: list[Sample]) -> list[str]:
    return [sample.key for sample in samples]


def test_films_with_labels_beside_them_are_grouped_by_their_names(flat: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = find_samples(flat, labelled=True, group_pattern=PATTERN)
    assert keys(samples) == ["P1/P1_l.png", "P1/P1_r.png", "P2/P2_l.png", "P2/P2_r.png"]
    assert [sample.image.name for sample in samples] == [*NAMES]
    assert [sample.label for sample in samples] == [flat / f"{Path(name).stem}.json" for name in NAMES]
    train, valid = split_by_group(samples, 2, 0, "patient")
    assert {one.group for one in train}.isdisjoint({one.group for one in valid})
    assert not caplog.records


def test_films_and_labels_may_lie_in_the_contests_folders_without_patients(flat: Path) -> None:
    (flat / "DCM").mkdir()
    (flat / "outputs_json").mkdir()
    for path in [path for path in flat.iterdir() if path.is_file()]:
        path.rename(flat / ("outputs_json" if path.suffix == ".json" else "DCM") / path.name)
    assert len(find_samples(flat, labelled=True, group_pattern=PATTERN)) == 4
    with pytest.raises(UserError, match=r"lies in no patient's folder .4 such files.*DCM/<patient>/.*group_pattern"):
        find_samples(flat, labelled=True)


def test_without_a_pattern_patients_folders_say_whose_films_they_are(flat: Path) -> None:
    with pytest.raises(UserError, match=r"P1_l\.tif lies in no patient's folder .4 such.*a patient's folder, or say"):
        find_samples(flat, labelled=True)
    for path in [*flat.iterdir()]:
        (flat / path.name[:2]).mkdir(exist_ok=True)
        path.rename(flat / path.name[:2] / path.name)
    assert keys(find_samples(flat, labelled=True))[0] == "P1/P1_l.png"


def test_a_pattern_counts_more_than_folders(split_dir: Path) -> None:
    samples = find_samples(split_dir, labelled=True, group_pattern="image(..)")
    assert [sample.group for sample in samples] == ["00", "00", "00", "00", "01", "01"]


def test_a_name_that_does_not_match_is_named(flat: Path) -> None:
    for suffix in (".tif", ".json"):
        shutil.copy(flat / f"P1_l{suffix}", flat / f"other{suffix}")
    with pytest.raises(UserError, match=r"'\(P\\d\+\)_' does not match other\.json, other\.tif\. Correct the pattern"):
        find_samples(flat, labelled=True, group_pattern=PATTERN)
    assert len(find_samples(flat, labelled=True, group_pattern=PATTERN, exclude=["other.tif"])) == 4


def test_names_may_be_excluded_as_the_files_are_called(flat: Path) -> None:
    for entry in ("P1_l.tif", "P1_l", "P1_l.png", "P1/P1_l.tif"):
        assert len(find_samples(flat, labelled=True, group_pattern=PATTERN, exclude=[entry])) == 3


def test_two_films_of_one_name_are_refused_and_both_named(flat: Path) -> None:
    shutil.copy(flat / "P2_l.dcm", flat / "P2_l.png")
    sentence = r"P2_l\.dcm and .*P2_l\.png have one name but for the suffix"
    with pytest.raises(UserError, match=sentence):
        find_samples(flat, labelled=True, group_pattern=PATTERN)
    with pytest.raises(UserError, match=sentence):
        find_images(flat)


def test_a_folder_of_films_is_predicted_and_its_labels_are_no_files_too_many(
    flat: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (flat / "notes.txt").touch()
    (flat / "alone.json").touch()
    with caplog.at_level(logging.WARNING):
        samples = find_images(flat)
    assert keys(samples) == ["train/P1_l.png", "train/P1_r.png", "train/P2_l.png", "train/P2_r.png"]
    (line,) = caplog.messages
    assert line == f"{flat}: 2 entries not used: notes.txt (a .txt file); alone.json (a label without an image)"
    assert keys(find_images(flat / "P2_l.dcm")) == ["train/P2_l.png"]


def test_the_index_of_a_disc_is_no_film(flat: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(flat / "P2_l.dcm", flat / "DICOMDIR")
    assert len(find_images(flat)) == 4
    assert "DICOMDIR (a file without a suffix)" in caplog.text


def test_what_lies_beside_the_contests_folders_is_named(split_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(split_dir / "DCM" / "ID001" / "image001b.png", split_dir / "lost.png")
    assert len(find_samples(split_dir, labelled=True)) == 6
    assert "1 entry not used: lost.png (neither in DCM/ nor in outputs_json/)" in caplog.text


def test_a_label_without_its_film_is_named(flat: Path) -> None:
    (flat / "P1_l.tif").unlink()
    with pytest.raises(UserError, match=r"3 images but 4 label files; no image for P1/P1_l\.png"):
        find_samples(flat, labelled=True, group_pattern=PATTERN)


def test_the_check_reads_such_folders(flat: Path) -> None:
    (flat / "P2_r.json").unlink()
    survey = check_dataset(hand_bone.grouped_by(PATTERN), flat.parent)
    assert [(one.kind, one.file, one.found) for one in survey.findings if one.kind == "unpaired"] == [
        ("unpaired", "train/P2_r", "no label P2_r.json")
    ]
    assert not {one.kind for one in survey.findings} & {"bad_image", "bad_name", "not_read", "one_hand"}
    ungrouped = check_dataset(hand_bone, flat.parent)
    assert len([one for one in ungrouped.findings if one.kind == "bad_name"]) == 4


def test_films_to_predict_may_lie_in_the_split_folder_itself(flat: Path) -> None:
    flat.rename(flat.parent / "test")
    assert hand_bone.layout.unlabelled_in(flat.parent) == flat.parent / "test"
    (flat.parent / "test" / "DCM").mkdir()
    assert hand_bone.layout.unlabelled_in(flat.parent) == flat.parent / "test" / "DCM"
