"""K-fold_ensemble.py --csv, and what a user may get wrong about files and arguments: one sentence and exit code 2."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.programs import assert_refused, call
from tests.bad_input.submissions import SUBMISSIONS

Arguments = Callable[..., list[object]]
ensemble = importlib.import_module("K-fold_ensemble")
OTHER_IMAGES = {
    "a missing image": r"b\.csv: 1 of 4 images have no rows, image0008_1\.png; .*a\.csv has them\. Name files",
    "names without .png": r"a\.csv: 4 of 8 images have no rows, image0007_0, .*; .*b\.csv has them",
    "other images": r"a\.csv: 4 of 8 images have no rows, x007_0\.png, .*; .*b\.csv has them",
}


@pytest.fixture
def arguments(perfect: str, tmp_path: Path) -> Arguments:
    """The arguments of a vote of two equal files; keywords replace them, None takes one away."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(perfect)

    def make(**changes: object) -> list[object]:
        values = {"csv": [tmp_path / "a.csv", tmp_path / "b.csv"], "output": tmp_path / "o.csv", **changes}
        given = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
        return [part for name, value in given.items() if value != [None] for part in (f"--{name}", *value)]

    return make


def test_the_vote_of_equal_files_is_the_file(perfect: str, arguments: Arguments, tmp_path: Path) -> None:
    ended = call(ensemble.main, *arguments())
    assert (ended.code, (tmp_path / "o.csv").read_text()) == (0, perfect), ended.told


@pytest.mark.parametrize("name", sorted(SUBMISSIONS.keys() - {"past the end"}))
def test_a_faulty_submission_is_reported_and_nothing_is_written(
    name: str, perfect: str, arguments: Arguments, tmp_path: Path
) -> None:
    spoil, sentence = SUBMISSIONS[name]
    (tmp_path / "b.csv").write_text(spoil(perfect))
    assert_refused(
        ensemble.main, *arguments(), sentence=OTHER_IMAGES.get(name, rf"b\.csv: .*{sentence.split(': ')[-1]}")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"csv": None}, "required"),
        ({"csv": ["a.csv"]}, r"--csv a\.csv: one file is no vote\. Name two or more"),
        ({"csv": ["a.csv", "./a.csv"]}, r"--csv: a\.csv is named twice\. Name it once; --weights lets it count more"),
        ({"csv": ["a.csv", "nothing.csv"]}, r"(a|nothing)\.csv: the submission cannot be read .No such file"),
        ({"csv": ["configs", "a.csv"]}, r"configs: is a folder\. Name a CSV file"),
        ({"csv": ["docs/images/hands.jpg", "LICENSE"]}, r"hands\.jpg: byte 1 is no UTF-8 text\. Is it a CSV"),
        ({"output": None}, "the following arguments are required: --output"),
        ({"output": "configs"}, r"configs: is a folder\. Name a file in it"),
        ({"output": "LICENSE/o.csv"}, r"LICENSE: is a file, not a folder\. Name another place"),
        ({"output": "/proc/carpus/o.csv"}, r"/proc/carpus: cannot be written to"),
        ({"vote": "most"}, r"--vote: expected numbers from 0 up, such as 2 or 0\.5; got 'most'"),
        ({"vote": "3"}, "--vote 3: the files weigh 2 together. Give 'majority' or a number up to that"),
        ({"vote": "-1"}, "--vote: expected"),
        ({"weights": ["1"]}, "--weights: 1 weights for 2 files. Give one for each, in their order"),
        ({"weights": ["heavy", "1"]}, "--weights: expected numbers from 0 up, such as 2 or 0.5; got 'heavy'"),
        ({"prefer": ["Pisiform"]}, r"--prefer Pisiform: expected CLASS=FILE, such as Ulna=.*a\.csv"),
        ({"prefer": ["pisiform=b.csv"]}, "'pisiform' is not a class. Did you mean 'Pisiform'"),
        ({"prefer": ["Pisiform=c.csv"]}, r"c\.csv is not one of the files that vote\. Write it as in --csv: "),
        ({"task": "hand"}, r"'hand' is not a task\. Did you mean 'hand_bone'"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(ensemble.main, *arguments(**changes), sentence=sentence)
