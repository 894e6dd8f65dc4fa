"""A data set with every trap: each program uses a file, names it with the reason, or refuses it; none is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import evaluate
import inference
import train
from data.check.__main__ import main as check
from data.films.reader import read_image
from data.hand_bone.task import hand_bone
from data.masks.rle import encode, to_text
from data.submission.reader import read_submission
from data.submission.vote import vote_files
from tests.bad_input.programs import call
from tests.contest import write_split
from tests.hostile import Traps, set_traps

SETTINGS = (
    *("--config", "configs/smoke.yaml", "run.name=run", "data.folds=4", "data.workers=0", "trainer.epochs=1"),
    *("services.mlflow.local=false", "transform.size_px=64"),
)


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Traps, Traps]:
    """The data set's root, and the traps in its train and its test folder."""
    root = tmp_path_factory.mktemp("hostile")
    write_split(root / "train", patients=9)
    write_split(root / "test", patients=9, first=50, seed=1)
    labels = shutil.move(root / "test" / "outputs_json", root / "truth")
    for index, image in enumerate(sorted(root.glob("*/DCM/*/*.png"))):
        brighten(image, 1 + 0.02 * (index % 9))
    in_train, in_test = set_traps(root / "train", first=1), set_traps(root / "test", first=50)
    assert Path(labels).is_dir()
    return root, in_train, in_test


def brighten(path: Path, factor: float) -> None:
    """Make images of a set differ, so that none is a copy of another one."""
    import cv2

    cv2.imwrite(str(path), np.clip(read_image(path) * factor, 0, 255).astype(np.uint8))


def files_in(folder: Path) -> set[str]:
    """Every file, hidden ones too, and every folder without files, relative to a folder."""
    found = set()
    for place, _, names in os.walk(folder):
        found |= {str((Path(place) / name).relative_to(folder)) for name in names}
        found |= {str(Path(place).relative_to(folder))} if not any(Path(place).iterdir()) else set()
    return found


def named(path: str, told: str) -> bool:
    """Whether a text names a file, by its path in the split folder or from a part of it on."""
    return path in told or path.split("/", 1)[1] in told


def exclusions(traps: Traps) -> list[str]:
    return [f"{Path(path).parent.name}/{Path(path).stem}.png" for path in traps.refused]


def test_training_refuses_what_cannot_be_used_and_names_the_rest(
    traps: tuple[Path, Traps, Traps], tmp_path: Path
) -> None:
    root, its, _ = traps
    settings = (*SETTINGS, f"data.root={root}", f"run.folder={tmp_path}")
    refused = call(train.main, *settings)
    assert refused.code == 2, refused.told
    assert "Traceback" not in refused.told
    for path, words in its.refused.items():
        line = next(line for line in refused.told.splitlines() if f"{root / 'train' / path}: " in line)
        assert words in line
    trained = call(train.main, *settings, f"data.exclude=[{', '.join(exclusions(its))}]")
    assert trained.code == 0, trained.told
    told = refused.told + trained.told + (tmp_path / "run" / "log.txt").read_text()
    assert_all_named(its, told)
    used = {*json.loads((tmp_path / "run" / "validation.json").read_text())["images"]}
    assert used
    assert_accounted(root / "train", its, told, labelled=True)
    predict_and_score(traps, tmp_path)


def assert_all_named(its: Traps, told: str) -> None:
    for path, words in {**its.left_out, **its.doubtful}.items():
        assert named(path, told), path
        assert words in told


def assert_accounted(split: Path, its: Traps, told: str, *, labelled: bool) -> None:
    """Every file is hidden, named, or a sample or its label."""
    left_out = exclusions(its) if labelled else []
    samples = hand_bone.layout.find_samples(split, labelled=labelled, exclude=left_out)
    used = {str(path.relative_to(split)) for sample in samples for path in (sample.image, sample.label) if path}
    rest = files_in(split) - used - {*its.hidden}
    partners = {path for path in rest if f"{Path(path).parent.name}/{Path(path).stem}.png" in left_out}
    assert [path for path in sorted(rest - partners) if not named(path, told)] == []
    assert not used & {*its.hidden}


def predict_and_score(traps: tuple[Path, Traps, Traps], runs: Path) -> None:
    """Predict the test folder: refused at first, then with the broken images moved away; score it with the truth."""
    root, _, its = traps
    copy = runs / "test"
    shutil.copytree(root / "test", copy, symlinks=True)
    csv = runs / "submission.csv"
    arguments = ("--run", runs / "run", "--images", copy / "DCM", "--output", csv)
    refused = call(inference.main, *arguments)
    assert refused.code == 2, refused.told
    assert all(f"{copy / path}: " in refused.told and words in refused.told for path, words in its.refused.items())
    assert not csv.exists()
    for path in its.refused:
        (copy / path).unlink()
    ended = call(inference.main, *arguments)
    assert ended.code == 0, ended.told
    assert_all_named(its, refused.told + ended.told)
    unlike = next(
        line for line in ended.told.splitlines() if "look unlike those that the network was trained on" in line
    )
    assert [named(path, unlike) for path in its.unlike] == [True, True]
    assert unlike.startswith("2 of 15 ") or " 2 of 15 images look unlike" in unlike
    submission = read_submission(csv, hand_bone.classes)
    assert len(submission.names) == 15
    assert not any("checkpoint" in name for name in submission.names)
    assert_accounted(copy, its, refused.told + ended.told, labelled=False)
    score(root, copy, csv)


def score(root: Path, split: Path, csv: Path) -> None:
    """Score against the folder as it is: labels without an image are refused by name, then all images are scored."""
    shutil.copytree(root / "truth", split / "outputs_json")
    arguments = ("--prediction", csv, "--truth", split, "--json", split / "score.json")
    refused = call(evaluate.main, *arguments)
    assert refused.code == 2, refused.told
    for label in (split / "outputs_json").rglob("*.json"):
        key = f"{label.parent.name}/{label.stem}.png"
        if not (split / "DCM" / key).is_file():
            assert key in refused.told
            label.unlink()
    ended = call(evaluate.main, *arguments)
    assert ended.code == 0, ended.told
    assert len(json.loads((split / "score.json").read_text())["per_image_and_class"]) == 15
    assert "notes.txt" in ended.told


def test_the_check_finds_every_trap(traps: tuple[Path, Traps, Traps], tmp_path: Path) -> None:
    root, in_train, in_test = traps
    ended = call(check, root, "--json", tmp_path / "found.json", "--sheet", tmp_path / "sheet.png")
    assert ended.code == 2, ended.told
    findings = json.loads((tmp_path / "found.json").read_text())["findings"]
    kinds = {(finding["kind"], finding["file"]) for finding in findings}
    for split, its in (("train", in_train), ("test", in_test)):
        files = {file.removeprefix(f"{split}/"): kind for kind, file in sorted(kinds) if file.startswith(f"{split}/")}
        for path in {**its.refused, **its.doubtful, **its.left_out, **dict.fromkeys(its.unlike, "")}:
            assert path in files, path
        assert not {*its.hidden} & files.keys()
    assert {("look", f"train/{path}") for path in in_train.unlike} <= kinds
    assert {kind for kind, file in kinds if file.endswith("ID004/image0004_0.png")} >= {"orientation"}


def test_a_folder_that_cannot_be_read_stops_every_program(
    traps: tuple[Path, Traps, Traps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, *_ = traps
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
        if Path(path).name in ("ID009", "ID058"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("data.files.os.scandir", refuse)
    sentence = "the folder cannot be read (Permission denied)"
    for main, *arguments in (
        (train.main, *SETTINGS, f"data.root={root}", f"run.folder={tmp_path}"),
        (evaluate.main, "--prediction", truth_csv(root, tmp_path / "a.csv"), "--truth", root / "train"),
    ):
        ended = call(main, *arguments)
        assert ended.code == 2
        assert f"ID009: {sentence}" in ended.told
    call(check, root, "--json", tmp_path / "found.json", "--sheet", tmp_path / "sheet.png")
    findings = json.loads((tmp_path / "found.json").read_text())["findings"]
    unreadable = {finding["file"] for finding in findings if finding["kind"] == "unreadable"}
    assert unreadable == {"train/DCM/ID009", "train/outputs_json/ID009", "test/DCM/ID058"}


def truth_csv(root: Path, path: Path, *, transposed: bool = False) -> Path:
    """The true masks of the test images as a submission, if asked with rows and columns exchanged."""
    rows = ["image_name,class,rle"]
    for label in sorted((root / "truth").rglob("*.json")):
        from data.masks.packed import fill_polygons
        from data.polygons.annotation import read_polygons

        packed = fill_polygons(read_polygons(label, hand_bone.classes), (64, 64), 29)
        if transposed:
            packed = np.ascontiguousarray(packed.transpose(1, 0, 2))
        runs = zip(hand_bone.classes, encode(packed, 29), strict=True)
        rows += [f"{label.stem}.png,{name},{to_text(its)}" for name, its in runs]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_vote_names_the_transposed_file(
    traps: tuple[Path, Traps, Traps], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, *_ = traps
    paths = [truth_csv(root, tmp_path / f"{name}.csv", transposed=name == "turned") for name in ("a", "b", "turned")]
    vote_files(paths, tmp_path / "vote.csv", hand_bone.classes)
    (line,) = [message for message in caplog.messages if "hardly overlap" in message]
    assert line.startswith(f"{paths[2]}: ")
