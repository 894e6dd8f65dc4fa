from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.check.__main__ import main
from data.check.contact_sheet import MOST, MOST_PER_FILE, draw_sheet, most_suspicious
from data.check.finding import Finding
from data.check.survey import check_dataset
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.sample import names_in
from tests.contest import SIDE_PX, write_split
from tests.root import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_split(tmp_path / "train", patients=2)
    for number, path in enumerate(sorted(tmp_path.glob("*/DCM/*/*.png"))):
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX), np.uint8))
    return tmp_path


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """The program in a folder of its own, with these arguments after ROOT."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["data.check", str(root), *arguments])
        return main()

    return call


def lift(root: Path, index: int) -> None:
    """Draw one bone partly above the image."""
    label = root / "train/outputs_json/ID001/image0001_0.json"
    content = json.loads(label.read_text())
    bone = next(a for a in content["annotations"] if a["label"] == BONES[index])
    bone["points"] = [[20, -30], [30, -30], [30, 10], [20, 10]]
    label.write_text(json.dumps(content))


def test_a_clean_set_exits_with_0_and_writes_nothing(run, root: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert run() == 0
    assert "Nothing wrong was found." in capsys.readouterr().out
    assert not (root / "runs").exists()


def test_a_finding_exits_with_2_and_is_in_text_json_and_sheet(  # type: ignore[no-untyped-def]
    run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lift(root, 3)
    assert run("--json", "out/all.json", "--sheet", "out/sheet.jpg") == 2
    said = capsys.readouterr().out
    assert "finger-4: 2 of 116 points outside" in said
    assert "out/all.json" in said
    assert "out/sheet.jpg: a contact sheet of 1 suspect\n" in said
    (finding,) = json.loads((root / "out/all.json").read_text())["findings"]
    assert (finding["kind"], finding["class"]) == ("outside", "finger-4")
    assert cv2.imread(str(root / "out/sheet.jpg")) is not None


def test_the_sheet_shows_the_image_and_the_outline_in_colour(root: Path) -> None:
    lift(root, 3)
    draw_sheet(root / "sheet.png", hand_bone, check_dataset(hand_bone, root))
    sheet = np.asarray(cv2.imread(str(root / "sheet.png")))
    coloured = np.ptp(sheet.astype(np.int64), axis=2) > 60
    assert np.count_nonzero(coloured) > 500
    assert np.count_nonzero((sheet > 200).all(axis=2)) > 500


def test_the_sheet_takes_the_oddest_and_no_file_too_often() -> None:
    one = [Finding("area", "a", "", (name,), oddness=50.0) for name in BONES]
    rest = [Finding("area", f"b{number}", "", ("Ulna",), oddness=float(number)) for number in range(60)]
    shown = most_suspicious([*rest, *one])
    assert len(shown) == MOST
    assert sum(finding.file == "a" for finding in shown) == MOST_PER_FILE
    assert [finding.file for finding in shown[: 59 - 49]] == [f"b{number}" for number in range(59, 49, -1)]


def test_exclusions_are_read_as_a_report_writes_them() -> None:
    assert names_in(["data.exclude=[ID001/image1.png, ID002]", "ID003,ID004", "ID005"]) == [
        *("ID001/image1.png", "ID002", "ID003", "ID004", "ID005"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "no such folder"),
        (["set", "--sheet", "x.gif"], "called .png or .jpg"),
        (["set", "--json", "set/train/DCM/ID001/image0001_0.png/x.json"], "is a file, not a folder"),
    ],
)
def test_faults_of_the_user_end_with_2_a_sentence_and_no_traceback(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    write_split(tmp_path / "set" / "train", patients=1)
    done = subprocess.run(
        [sys.executable, "-m", "data.check", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr
