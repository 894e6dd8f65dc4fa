"""Two scored runs or files compared: which is better, and what cannot be compared."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from data.hand_bone.task import hand_bone
from trainer.compare.__main__ import main
from trainer.compare.scores import compare_scores
from trainer.evaluate import Scores
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import write_validation
from trainer.records.folder import RunFolder
from utils.errors import UserError

IMAGES = {f"{patient}_{side}.png": f"ID{patient:03}" for patient in range(8) for side in "LR"}


def table_of(gain: float, images: dict[str, str] = IMAGES) -> ScoreTable:
    """Scores by which an image is better by about `gain`; the last class by twice that."""
    table, rng = ScoreTable(hand_bone.classes, hand_bone.metric), np.random.default_rng(0)
    for image in images:
        row = np.full(len(hand_bone.classes), 0.9 + gain * rng.uniform(0.5, 1.5))
        row[-1] += gain
        table.add(image, row)
    return table


def write_run(folder: Path, gain: float, images: dict[str, str] = IMAGES) -> Path:
    folder.mkdir(parents=True)
    RunFolder(folder).config.write_text("task: hand_bone\n")
    write_validation(RunFolder(folder).validation, 0, table_of(gain, images), dict.fromkeys(images), images)
    return folder


def write_scores(path: Path, gain: float) -> Path:
    path.write_text(json.dumps(Scores(table_of(gain), {}, (), IMAGES).summary()))
    return path


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """What the program logs and prints."""
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, arguments)])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    main()
    captured = capsys.readouterr()
    return captured.err + captured.out


def test_of_two_runs_the_better_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = write_run(tmp_path / "a", 0.01), write_run(tmp_path / "b", 0.03)
    text = said(capsys, monkeypatch, a, b)
    assert "B is better than A: Dice 0.9" in text
    assert "8 patients)." in text
    assert f"{hand_bone.classes[-1]} " in text
    assert "+0.04" in text
    assert "B is worse than A" in said(capsys, monkeypatch, b / "validation.json", write_scores(tmp_path / "s.json", 0))


def test_folds_are_joined(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [dict(list(IMAGES.items())[:8]), dict(list(IMAGES.items())[8:])]
    for name, gain in (("a", 0.01), ("b", 0.03)):
        for number, images in enumerate(parts):
            write_run(tmp_path / name / f"fold{number}", gain, images)
    with caplog.at_level(logging.INFO):
        compare_scores(hand_bone, tmp_path / "a", tmp_path / "b")
    assert "B is better than A" in caplog.text
    assert "8 patients)." in caplog.text


def test_a_fold_that_is_not_evaluated_yet_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name / "fold0", 0.01)
        (tmp_path / name / "fold1").mkdir()
        RunFolder(tmp_path / name / "fold1").config.write_text("task: hand_bone\n")
    compare_scores(hand_bone, tmp_path / "a", tmp_path / "b")
    lines = [line for line in caplog.messages if "not evaluated yet" in line]
    assert lines == [f"{tmp_path / x}: fold1: not evaluated yet, so its images are not compared" for x in ("a", "b")]


def test_scores_of_an_older_version_are_compared_without_patients(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [write_scores(tmp_path / f"{gain}.json", gain) for gain in (0.01, 0.03)]
    for file in files:
        file.write_text(
            json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "groups"})
        )
    with caplog.at_level(logging.INFO):
        compare_scores(hand_bone, *files)
    assert "16 images, each regarded as a patient of its own)." in caplog.text


def test_what_cannot_be_compared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, fewer = write_run(tmp_path / "a", 0.01), write_run(tmp_path / "b", 0.01, dict(list(IMAGES.items())[1:]))
    with pytest.raises(UserError, match=r"a: 0_L\.png: not scored by the other"):
        compare_scores(hand_bone, a, fewer)
    for content, sentence in (
        ("{}", r"holds no scores of images \(KeyError"),
        ('{"per_image_and_class": {"a.png": {"Ulna": 1}}}', "holds no mean_dice. Say with --task"),
        ('{"mean_dice": 1, "per_image_and_class": {"a.png": {"Ulna": NaN}}}', "a score is missing or no number"),
        ('{"mean_dice": 1, "per_image_and_class": {"a.png": {"Ulna": "x"}}}', "holds no scores of images"),
        ('{"mean_dice": 1, "per_image_and_class": {}}', "a score is missing"),
    ):
        (tmp_path / "s.json").write_text(content)
        with pytest.raises(UserError, match=sentence):
            compare_scores(hand_bone, a, tmp_path / "s.json")
    for option, sentence in (("--html", "--html: needs masks"), ("--truth", "--truth: needs masks")):
        monkeypatch.setattr(sys, "argv", ["compare", str(a), str(a), option, "x"])
        with pytest.raises(UserError, match=sentence):
            main()
    monkeypatch.setattr(sys, "argv", ["compare", str(a), "b.csv"])
    with pytest.raises(UserError, match=r"b\.csv: is a prediction, but .*a holds scores"):
        main()
