"""python -m data.folds, and what a user may get wrong about data, folder and numbers: one sentence and exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import train
from data.folds.__main__ import main
from tests.bad_input.programs import assert_refused, call

PairOf = Callable[[Path], tuple[Path, Path]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--k", "1"], "--k: expected a whole number from 2 to 1000, got '1'"),
        (["--k", "many"], "--k: expected a whole number from 2 to 1000, got 'many'"),
        (["--k", "4"], "--k: 4 folds of 3 patients. Give --k=3 or fewer."),
        (["--by", "age"], "--by: 'age' is nothing to divide task 'hand_bone' by. Valid: patient, wrist"),
        (["--seed", "-1"], "--seed: expected a whole number from 0 to 4294967295, got '-1'"),
        (["--exclude", "ID99"], "no patient and no image is called ID99"),
        (["--out", "LICENSE"], "LICENSE: is a file. Name a folder with --out"),
        (["--out", "/proc/folds"], "/proc/folds.*choose another folder"),
        (["--root", "nowhere"], "nowhere/train/DCM: no such folder"),
    ],
)
def test_arguments_that_cannot_be_are_reported(options: list[str], sentence: str, root: Path, tmp_path: Path) -> None:
    assert_refused(main, "--root", root, "--out", tmp_path / "folds", "--k", 2, *options, sentence=sentence)


def test_the_default_number_of_folds_is_named(root: Path, tmp_path: Path) -> None:
    sentence = r"--k: 5 folds \(the default\) of 3 patients. Give --k=3 or fewer."
    assert_refused(main, "--root", root, "--out", tmp_path / "folds", "--by", "wrist", sentence=sentence)


@pytest.mark.parametrize("by", ["patient", "wrist"])
def test_a_broken_label_is_named(by: str, root: Path, tmp_path: Path, pair_of: PairOf) -> None:
    label = pair_of(root / "train")[1]
    label.write_text("{")
    arguments = ["--root", root, "--out", tmp_path / "folds", "--k", 2, "--by", by]
    assert_refused(main, *arguments, sentence=f"{label.name}: ")
    assert not (tmp_path / "folds").exists()


def test_files_that_are_there_are_reported_and_kept(root: Path, tmp_path: Path) -> None:
    folds = ["--root", root, "--out", tmp_path / "folds", "--by"]
    assert call(main, *folds, "patient", "--k", 3).code == 0
    before = (tmp_path / "folds" / "fold_1.csv").read_bytes()
    sentence = "is a file of other folds, on which runs may depend. Name another folder with --out, or delete it"
    assert_refused(main, *folds, "patient", "--k", 2, sentence=sentence)
    assert (tmp_path / "folds" / "fold_1.csv").read_bytes() == before


def spoil(folder: Path) -> list[tuple[str, str]]:
    """What is done to a folder of fold files: the text of the first, and the sentence that tells it."""
    whole = (folder / "fold_0.csv").read_text()
    rows = whole.splitlines()
    return [
        ("", "lacks the column image_name, json_name, split, fold"),
        (whole.replace("split", "side"), "lacks the column split"),
        (whole.replace(",train,", ",test,"), "split is 'test', expected train or val"),
        (whole.replace("ID001/", "ID009/"), "2 images are not in the data, ID009/"),
        ("\n".join(rows[:-1]), "1 images of the data are in no row, ID003/"),
        ("\n".join([*rows, rows[-1]]), "occurs twice, on lines 7 and 8"),
        (whole.replace(",val,", ",train,", 1), "in both train and val"),
    ]


@pytest.mark.parametrize("fault", range(7))
def test_a_faulty_fold_file_ends_training_before_its_first_step(fault: int, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folds"
    assert call(main, "--root", root, "--out", folder, "--k", 3).code == 0
    text, sentence = spoil(folder)[fault]
    (folder / "fold_0.csv").write_text(text)
    settings = [f"data.root={root}", f"data.fold_files={folder}", f"run.folder={tmp_path / 'runs'}"]
    assert_refused(train.main, "--config", "configs/smoke.yaml", *settings, sentence=sentence)
    assert not (tmp_path / "runs").exists()


def test_a_fold_without_a_file_is_reported(root: Path, tmp_path: Path) -> None:
    assert call(main, "--root", root, "--out", tmp_path / "folds", "--k", 3).code == 0
    settings = [f"data.root={root}", f"data.fold_files={tmp_path / 'folds'}", f"run.folder={tmp_path / 'runs'}"]
    sentence = r"folds has no fold_3\.csv\. There are 0, 1, 2\."
    assert_refused(train.main, "--config", "configs/smoke.yaml", *settings, "fold=3", sentence=sentence)
    sentence = r"data\.fold_files=.*nowhere: no such folder\. Make it with python -m data\.folds"
    assert_refused(
        train.main,
        "--config",
        "configs/smoke.yaml",
        *settings,
        "data.fold_files=nowhere",
        "fold=all",
        sentence=sentence,
    )
