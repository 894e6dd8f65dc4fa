from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from data.polygons.layout import find_images, find_samples
from data.sample import Sample, checked_pattern, group_in
from utils.errors import UserError


def keys(samples: list[Sample]) -> list[str]:
    return [sample.key for sample in samples]


def test_samples_are_sorted_pairs_by_patient_and_name(split_dir: Path) -> None:
    samples = find_samples(split_dir, labelled=True)
    assert keys(samples) == [
        "ID001/image001a_R.png",
        "ID001/image001b.png",
        "ID002/image002a_R.png",
        "ID002/image002b.png",
        "ID010/image010a_R.png",
        "ID010/image010b.png",
    ]
    label = split_dir / "outputs_json" / "ID002" / "image002a_R.json"
    assert samples[2] == Sample("image002a_R.png", "ID002", split_dir / "DCM" / "ID002" / "image002a_R.png", label)


def test_names_are_joined_whatever_way_their_letters_are_stored(split_dir: Path) -> None:
    """macOS stores 한글 in more characters than Linux does (NFD and NFC), and both look alike."""
    stored, typed = (unicodedata.normalize(form, "한글") for form in ("NFD", "NFC"))
    for part, suffix, stem in (("DCM", "png", stored), ("outputs_json", "json", typed)):
        place = split_dir / part / "ID002"
        (place / f"image002b.{suffix}").rename(place / f"{stem}.{suffix}")
    assert f"ID002/{typed}.png" in keys(find_samples(split_dir, labelled=True))
    assert len(find_samples(split_dir, labelled=True, exclude=[stored])) == 5


def test_the_folder_in_which_a_program_was_started_has_a_name(split_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(split_dir / "DCM" / "ID001")
    assert keys(find_images(Path())) == ["ID001/image001a_R.png", "ID001/image001b.png"]


def test_without_labels_only_images_count(split_dir: Path) -> None:
    samples = find_samples(split_dir, labelled=False)
    assert all(sample.label is None for sample in samples)
    assert find_images(split_dir / "DCM") == samples


def test_images_may_lie_in_the_folder_itself(split_dir: Path) -> None:
    assert keys(find_images(split_dir / "DCM" / "ID001")) == ["ID001/image001a_R.png", "ID001/image001b.png"]


def test_every_unpaired_file_is_named_at_once(split_dir: Path) -> None:
    (split_dir / "outputs_json" / "ID001" / "image001b.json").unlink()
    (split_dir / "outputs_json" / "ID010" / "image010b.json").unlink()
    (split_dir / "DCM" / "ID002" / "image002a_R.png").unlink()
    with pytest.raises(UserError) as error:
        find_samples(split_dir, labelled=True)
    assert str(error.value) == (
        f"{split_dir}: 5 images but 4 label files; no label for ID001/image001b.png, ID010/image010b.png; "
        "no image for ID002/image002a_R.png. Add the missing files or list them in data.exclude."
    )


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("ID002", 4),
        ("image002b.png", 5),
        ("image002b", 5),
        ("image002a_R", 5),
        ("ID002/image002b.png", 5),
        ("ID002/image002b", 5),
    ],
)
def test_patients_and_images_can_be_excluded(split_dir: Path, entry: str, left: int) -> None:
    assert len(find_samples(split_dir, labelled=True, exclude=[entry])) == left


def test_an_excluded_image_may_lack_its_label(split_dir: Path) -> None:
    (split_dir / "outputs_json" / "ID001" / "image001b.json").unlink()
    assert len(find_samples(split_dir, labelled=True, exclude=["image001b"])) == 5


def test_an_exclusion_that_matches_nothing_names_the_nearest(split_dir: Path) -> None:
    with pytest.raises(UserError, match=r"no image is called image002_b\. Did you mean 'image002b'"):
        find_samples(split_dir, labelled=True, exclude=["image002_b"])


def test_an_image_name_may_occur_only_once_in_a_split(split_dir: Path) -> None:
    (split_dir / "DCM" / "ID001" / "image001b.png").rename(split_dir / "DCM" / "ID001" / "image002b.png")
    with pytest.raises(UserError, match=r"must be unique, .*ID001/image002b\.png, ID002/image002b\.png"):
        find_samples(split_dir, labelled=False)


def test_a_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder\. A split folder holds DCM/<patient>/<image>\.png"):
        find_samples(tmp_path / "train", labelled=True)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image in it"):
        find_images(tmp_path)


def test_hidden_files_are_not_images(split_dir: Path) -> None:
    (split_dir / "DCM" / "ID001" / "._image001b.png").write_bytes(b"left by a Mac")
    (split_dir / "DCM" / ".DS_Store").write_bytes(b"too")
    assert len(find_samples(split_dir, labelled=True)) == 6


def test_labelled_images_outside_patients_folders_are_refused(split_dir: Path) -> None:
    shutil.copy(split_dir / "DCM" / "ID001" / "image001b.png", split_dir / "DCM" / "flat.png")
    with pytest.raises(UserError, match=r"DCM: flat\.png lies in no patient's folder .1 such.*Move each image to"):
        find_samples(split_dir, labelled=True)
    assert len(find_samples(split_dir, labelled=False)) == 7


def test_images_that_lie_too_deep_are_told_of(split_dir: Path) -> None:
    with pytest.raises(UserError, match=r"no image in it.* 6 lie deeper, such as .*DCM/ID0.*; name the folder above"):
        find_images(split_dir)
    (split_dir / "DCM").rename(split_dir / "unpacked")
    (split_dir / "DCM").mkdir()
    (split_dir / "unpacked").rename(split_dir / "DCM" / "DCM")
    with pytest.raises(UserError, match=r"DCM: no image in it.* 6 lie deeper"):
        find_samples(split_dir, labelled=True)


def test_images_of_another_format_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no image in it.* There are 1 files such as a\.gif; convert them to PNG"):
        find_images(tmp_path)


def test_the_split_near_a_wrong_folder_is_named(split_dir: Path) -> None:
    for wrong in (split_dir.parent, split_dir / "DCM"):
        with pytest.raises(UserError, match=rf"no such folder\. Did you mean {split_dir}\?"):
            find_samples(wrong, labelled=True)


def test_excluding_every_image_is_refused(split_dir: Path) -> None:
    with pytest.raises(UserError, match=r"data\.exclude: leaves none of the images"):
        find_samples(split_dir, labelled=True, exclude=["ID001", "ID002", "ID010"])


def test_a_long_list_of_unpaired_files_is_cut(split_dir: Path) -> None:
    for number in range(30):
        (split_dir / "DCM" / "ID001" / f"more{number:02}.png").touch()
    with pytest.raises(UserError, match=r"no label for ID001/more00\.png, .*more19\.png and 10 more\. Add"):
        find_samples(split_dir, labelled=True)


@pytest.mark.parametrize("twin", ["image001b.PNG", "image001b.jpg", "image001b.dcm"])
def test_names_that_differ_in_the_suffix_alone_are_refused(split_dir: Path, twin: str) -> None:
    """Both would be image001b.png in the CSV, and share a label."""
    image = split_dir / "DCM" / "ID001" / "image001b.png"
    (image.parent / twin).touch()
    one, other = sorted([image, image.parent / twin])
    sentence = f"{one} and {other} have one name but for the suffix"
    with pytest.raises(UserError, match=sentence):
        find_samples(split_dir, labelled=True)
    with pytest.raises(UserError, match=sentence):
        find_images(split_dir / "DCM")


@pytest.mark.parametrize("name", ["a,b.png", 'a"b.png', "a\nb.png", os.fsdecode(b"a\xffb.png")])
def test_a_name_that_no_csv_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"which no CSV can hold: .*a.+b\.png.*\. Rename the files\.") as error:
        find_images(tmp_path)
    assert str(error.value).isascii()


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(", "expected a regular expression"), ("P", "expected one pair of brackets"), ("(a)(b)", "got 2 in")],
)
def test_a_pattern_needs_one_pair_of_brackets(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_pattern(pattern)
    assert checked_pattern("(?:a|b)(.+)")


def test_two_names_that_look_alike_are_said_to_be_stored_differently(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        place = tmp_path / unicodedata.normalize(form, "환자")
        place.mkdir(exist_ok=True)
        (place / "a.png").touch()
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this disk composes names")
    with pytest.raises(UserError, match=r"look alike and are stored differently \(composed, NFC, and decomposed, NFD"):
        find_images(tmp_path)


def test_a_pattern_typed_on_a_mac_fits_names_as_they_are_compared() -> None:
    assert group_in(checked_pattern(unicodedata.normalize("NFD", "(환자.)_")), "환자7_왼손") == "환자7"


@pytest.mark.parametrize(("stem", "group"), [("P12_left", "P12"), ("xP12_left", None), ("_left", None)])
def test_a_pattern_is_for_the_beginning_of_a_name(stem: str, group: str | None) -> None:
    assert group_in(r"(P\d+)?_", stem) == group
