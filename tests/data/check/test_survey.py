from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.check.finding import Finding
from data.check.refuse import refuse_broken
from data.check.report import SHOWN, as_json, report_lines
from data.check.survey import Survey, check_dataset
from data.hand_bone.task import hand_bone
from tests.contest import SIDE_PX, square_of, write_sample, write_split
from utils.errors import UserError

Edit = Callable[[dict[str, Any]], object]
KEY = "ID002/image0002_1"
LABEL, IMAGE = f"train/outputs_json/{KEY}.json", f"train/DCM/{KEY}.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four labelled patients and an unlabelled test patient; no two images are alike."""
    root = tmp_path / "set"
    write_split(root / "train", patients=4, seed=1)
    write_split(root / "test", patients=1, first=9, seed=2)
    shutil.rmtree(root / "test" / "outputs_json")
    for number, path in enumerate(sorted(root.glob("*/DCM/*/*.png"))):
        image = np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX), np.uint8)
        cv2.imwrite(str(path), image)
    return root


FLOATS = cv2.imencode(".tiff", np.ones((64, 64), np.float32))[1].tobytes()


def found(survey: Survey, *kinds: str) -> list[Finding]:
    return [finding for finding in survey.findings if finding.kind in kinds]


def graver(survey: Survey) -> list[tuple[str, str]]:
    return [(finding.kind, finding.file) for finding in survey.findings if survey.severity_of(finding) != "note"]


def edit(path: Path, change: Edit) -> None:
    label = json.loads(path.read_text())
    change(label)
    path.write_text(json.dumps(label))


def entry(label: dict[str, Any], name: str) -> dict[str, Any]:
    (annotation,) = (a for a in label["annotations"] if a["label"] == name)
    assert isinstance(annotation, dict)
    return annotation


def test_a_whole_set_with_the_contests_traps_has_no_finding(root: Path) -> None:
    assert not check_dataset(hand_bone, root).findings


def test_a_test_split_with_labels_is_checked_as_well(root: Path) -> None:
    label = root / "test" / "outputs_json" / "ID009" / "image0009_0.json"
    label.parent.mkdir(parents=True)
    label.write_text("{")
    assert graver(check_dataset(hand_bone, root)) == [
        ("unpaired", "test/DCM/ID009/image0009_1.png"),
        ("bad_label", "test/outputs_json/ID009/image0009_0.json"),
    ]
    assert check_dataset(hand_bone, root).exclusions("problem") == []


@pytest.mark.parametrize(
    ("change", "kind", "classes", "words"),
    [
        (lambda label: label.pop("annotations"), "bad_label", (), "no list 'annotations'"),
        (lambda label: entry(label, "Ulna").update(label="Ulnar"), "unknown_class", ("Ulnar",), "Did you mean 'Ulna'?"),
        (lambda label: label["annotations"].remove(entry(label, "Ulna")), "missing_class", ("Ulna",), "not annotated"),
        (lambda label: entry(label, "Ulna").update(points=[[1, 1], [2, 2]]), "few_points", ("Ulna",), "2 points"),
        (lambda label: entry(label, "Ulna").update(points=[[1, 1], [2]]), "bad_points", ("Ulna",), "pairs of numbers"),
        (
            lambda label: entry(label, "Ulna").update(points=[[40, 50], [70, 50], [70, 60], [40, 60]]),
            "outside",
            ("Ulna",),
            "2 of 116 points outside 64 x 64 px, by up to 7 px",
        ),
        (
            lambda label: entry(label, "Ulna").update(points=[[90, 50], [99, 50], [99, 60]]),
            "off_image",
            ("Ulna",),
            "wholly outside 64 x 64 px",
        ),
    ],
)
def test_a_faulty_label_is_found_by_kind_file_and_class(
    root: Path, change: Edit, kind: str, classes: tuple[str, ...], words: str
) -> None:
    edit(root / LABEL, change)
    (finding, *_) = found(check_dataset(hand_bone, root), kind)
    assert (finding.file, finding.classes, finding.exclude) == (LABEL, classes, f"{KEY}.png")
    assert words in finding.found
    assert "data.exclude" not in finding.found


def test_a_point_on_the_border_or_one_beyond_passes(root: Path) -> None:
    edit(root / LABEL, lambda label: entry(label, "Ulna").update(points=[[44, 52], [65, 52], [65, 64], [44, 64]]))
    assert not found(check_dataset(hand_bone, root), "outside")


def test_several_entries_and_a_lone_hand_are_only_noted(root: Path) -> None:
    edit(root / LABEL, lambda label: label["annotations"].append(entry(label, "Ulna")))
    for path in (root / "train").glob("*/ID001/image0001_0.*"):
        path.unlink()
    survey = check_dataset(hand_bone, root)
    assert [(finding.kind, finding.file) for finding in survey.findings] == [
        ("several_entries", LABEL),
        ("one_hand", "train/DCM/ID001"),
    ]
    assert not survey.faulty


def other_names(path: Path, names: list[str]) -> None:
    """Give the outlines of a label these names by turns."""

    def change(label: dict[str, Any]) -> None:
        for number, annotation in enumerate(label["annotations"]):
            annotation["label"] = names[number % len(names)]

    edit(path, change)


def test_labels_of_other_classes_are_one_finding_with_the_names_and_no_advice_to_leave_all_out(root: Path) -> None:
    labels = sorted((root / "train" / "outputs_json").rglob("*.json"))
    for number, path in enumerate(labels):
        other_names(path, ["mass", "cyst"] if number % 2 else ["mass", "node"])
    survey = check_dataset(hand_bone, root)
    (finding,) = (finding for finding in survey.findings if survey.severity_of(finding) != "note")
    assert (finding.kind, finding.classes) == ("other_classes", ("mass", "node", "cyst"))
    assert "in all 8 labels" in finding.found
    report = "\n".join(report_lines(survey))
    assert "--task" in report
    assert "data.exclude" not in report
    assert "Ulna" not in report


def test_one_label_of_other_classes_can_be_left_out(root: Path) -> None:
    other_names(root / LABEL, ["mass", "cyst"])
    (finding,) = found(check_dataset(hand_bone, root), "other_classes")
    assert (finding.file, finding.exclude) == (LABEL, f"{KEY}.png")


def test_training_says_once_that_labels_have_other_classes(root: Path) -> None:
    samples = hand_bone.layout.find_samples(root / "train", labelled=True)
    for number, sample in enumerate(samples):
        assert sample.label is not None
        other_names(sample.label, ["mass", "cyst"] if number % 2 else ["mass", "node"])
    with pytest.raises(UserError) as refused:
        refuse_broken(samples, hand_bone.check)
    first, last = str(refused.value).splitlines()
    assert re.match(
        r".*_0\.json and 7 other labels: no class name is one of this task's; found: 'mass', 'node', 'cyst'\.", first
    )
    assert "data.classes" in first
    assert last == "8 of 8 images cannot be used as they are. Fix them."


def write(image: np.ndarray[Any, Any]) -> Callable[[Path], object]:
    return lambda path: cv2.imwrite(str(path), image)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "bad_image", "truncated"),
        (lambda path: path.write_bytes(b"GIF89a"), "bad_image", "GIF"),
        (lambda path: path.write_bytes(FLOATS), "bad_image", "values are of type float32"),
        (write(np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)), "alpha", "alpha channel"),
        (write(np.random.default_rng(0).integers(0, 256, (80, 70), np.uint8)), "size", "70 x 80 px, most are 64 x 64"),
        (write(np.full((64, 64), 7, np.uint8)), "blank", "every pixel is 7"),
    ],
)
def test_a_faulty_image_is_found_by_kind_and_file(
    root: Path, change: Callable[[Path], object], kind: str, words: str
) -> None:
    change(root / IMAGE)
    (finding,) = check_dataset(hand_bone, root).findings
    assert (finding.kind, finding.file, finding.exclude) == (kind, IMAGE, f"{KEY}.png")
    assert words in finding.found


def test_unpaired_files_are_all_found_and_the_misplaced_partner_is_named(root: Path) -> None:
    moved = root / "train" / "outputs_json" / "ID003" / "image0002_1.json"
    (root / LABEL).rename(moved)
    first, second = found(check_dataset(hand_bone, root), "unpaired")
    assert (first.file, first.found) == (
        IMAGE,
        f"no label outputs_json/{KEY}.json, but there is train/outputs_json/ID003/image0002_1.json",
    )
    assert (second.file, second.exclude) == ("train/outputs_json/ID003/image0002_1.json", "ID003/image0002_1.png")


def test_copies_are_found_under_other_names_patients_and_splits(root: Path) -> None:
    image = np.asarray(cv2.imread(str(root / "test/DCM/ID009/image0009_0.png")))
    cv2.imwrite(str(root / IMAGE), image)  # Three channels and another compression: the same pixels.
    mirrored = cv2.resize(np.clip(image[:, ::-1] * 0.8 + 9, 0, 255).astype(np.uint8), (64, 64))
    cv2.imwrite(str(root / "train/DCM/ID004/image0004_0.png"), mirrored)
    exact, near = found(check_dataset(hand_bone, root), "duplicate", "near_duplicate")
    assert (exact.kind, exact.file, exact.exclude) == ("duplicate", IMAGE, f"{KEY}.png")
    assert exact.found == "the same pixels as test/DCM/ID009/image0009_0.png"
    assert (near.kind, near.file) == ("near_duplicate", "train/DCM/ID004/image0004_0.png")
    assert near.found.endswith("image0009_0.png, mirrored")


def test_a_label_copied_to_another_image_is_found(root: Path) -> None:
    other = root / "train/outputs_json/ID003/image0003_0.json"
    other.write_text((root / LABEL).read_text())
    (finding,) = found(check_dataset(hand_bone, root), "same_label")
    assert (finding.file, finding.found) == (
        "train/outputs_json/ID003/image0003_0.json",
        f"the same outlines as {LABEL}",
    )


def test_a_patient_in_both_splits_is_found(root: Path) -> None:
    shutil.copytree(root / "train" / "DCM" / "ID001", root / "test" / "DCM" / "ID001")
    survey = check_dataset(hand_bone, root)
    (finding,) = found(survey, "two_splits")
    assert (finding.file, finding.exclude) == ("train/DCM/ID001", "ID001")
    assert survey.exclusions("problem") == ["ID001"]  # Which covers its two images, that are duplicates as well.


def test_names_that_occur_twice_or_that_no_csv_holds_are_found(root: Path) -> None:
    write_sample(root / "train", "ID003", "image0002_1", [square_of(index, np.array([1, 0])) for index in range(29)])
    write_sample(root / "train", "ID003", "a,b", [square_of(index, np.array([0, 1])) for index in range(29)])
    survey = check_dataset(hand_bone, root)
    assert [f.file for f in found(survey, "doubled_name")] == ["train/DCM/ID003/image0002_1.png"]
    assert [f.file for f in found(survey, "bad_name")] == ["train/DCM/ID003/a,b.png"]


def test_files_that_are_never_read_are_found(root: Path) -> None:
    folder = root / "train" / "DCM" / "ID001"
    (folder / "scan.gif").write_bytes(b"")
    (folder / "old").mkdir()
    shutil.copy(root / IMAGE, folder / "old" / "deep.png")
    shutil.copy(folder / "image0001_0.png", folder / "image0001_0.PNG")
    (folder / "._image0001_0.png").write_bytes(b"left by a Mac")
    assert [(f.file, f.found) for f in found(check_dataset(hand_bone, root), "not_read")] == [
        ("train/DCM/ID001/image0001_0.png", "image0001_0.PNG has the same name but for the suffix"),
        ("train/DCM/ID001/old/deep.png", "deeper than the patient's folder"),
        ("train/DCM/ID001/scan.gif", "a .gif file"),
    ]


def test_an_empty_train_folder_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert graver(check_dataset(hand_bone, tmp_path)) == [
        ("missing_folder", "train/DCM"),
        ("missing_folder", "train/outputs_json"),
    ]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("absent", "no such folder"),
        ("file", "a file, not a folder"),
        ("empty", r"neither train/ nor test/"),
        ("set/train", r"one split.*Name the folder above: .*set$"),
        ("set/train/DCM", r"one split.*Name the folder above: .*set$"),
    ],
)
def test_a_root_that_is_none_is_refused_with_the_way_out(root: Path, place: str, words: str) -> None:
    (root.parent / "file").write_text("")
    (root.parent / "empty").mkdir()
    with pytest.raises(UserError, match=words):
        check_dataset(hand_bone, root.parent / place)


def test_what_is_excluded_is_not_looked_at(root: Path) -> None:
    (root / LABEL).write_text("{")
    (root / "train/DCM/ID003/photo.jpg").write_bytes(b"")
    (root / "train/DCM/ID001/image0001_0.png").unlink()
    assert not check_dataset(hand_bone, root, ["image0002_1", "ID003", "ID001/image0001_0.png"]).faulty
    with pytest.raises(UserError, match="Did you mean 'ID002'"):
        check_dataset(hand_bone, root, ["ID02"])


def test_the_exclusions_of_a_report_let_the_next_one_pass(root: Path) -> None:
    edit(root / LABEL, lambda label: label["annotations"].clear())
    (root / "train/DCM/ID004/image0004_1.png").write_bytes(b"")
    survey = check_dataset(hand_bone, root)
    assert survey.exclusions("problem") == [f"{KEY}.png", "ID004/image0004_1.png"]
    assert not check_dataset(hand_bone, root, survey.exclusions("problem")).faulty


def test_few_hands_are_told_in_one_line(root: Path) -> None:
    survey = check_dataset(hand_bone, root, ["ID001"])
    assert survey.remarks == ["Areas, places and outlines were not compared: that takes 8 labelled hands, there are 6."]
    assert not check_dataset(hand_bone, root).remarks


def test_the_report_names_file_class_expectation_and_remedy(root: Path) -> None:
    edit(root / LABEL, lambda label: label["annotations"].remove(entry(label, "Ulna")))
    lines = list(report_lines(check_dataset(hand_bone, root)))
    assert f"    {LABEL}: Ulna: not annotated" in lines
    assert "  Expected: all 29 bones in every label." in lines
    assert any(line.startswith("  To do: Complete the label") for line in lines)
    assert lines[-2] == "1 problem and 0 suspects: missing_class 1"
    assert lines[-1].endswith(f"data.exclude=[{KEY}.png]")


def test_many_equal_findings_do_not_flood_the_report_but_all_are_in_the_json(root: Path) -> None:
    for number in range(30):
        (root / "train" / "DCM" / "ID001" / f"{number}.gif").write_bytes(b"")
    survey = check_dataset(hand_bone, root)
    lines = list(report_lines(survey))
    assert sum(".gif:" in line for line in lines) == SHOWN
    assert "    … and 20 more; --json FILE has all" in lines
    written = as_json(survey)
    assert written["counts"] == {"not_read": 30}
    assert len(written["findings"]) == 30
    assert set(written["findings"][0]) >= {"kind", "file", "class", "expected", "remedy", "found"}


def test_every_kind_has_words(root: Path) -> None:
    for kind in check_dataset(hand_bone, root).kinds.values():
        assert kind.title
        assert kind.expected
        assert kind.remedy.endswith(".")
        assert "{" not in kind.title + kind.expected + kind.remedy
