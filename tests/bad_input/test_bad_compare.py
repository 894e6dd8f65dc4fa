"""python -m trainer.compare, and what a user may get wrong about files, images and arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.damages import LABEL_DAMAGES
from tests.bad_input.programs import assert_refused, call
from tests.bad_input.submissions import SUBMISSIONS
from trainer.compare.__main__ import main

Arguments = Callable[..., list[object]]
PairOf = Callable[[Path], tuple[Path, Path]]
OTHER_IMAGES = {
    "a missing image": r"b\.csv: 1 of 4 images have no rows, image0008_1\.png; .*a\.csv has them",
    "names without .png": r"a\.csv: 4 of 8 images have no rows, image0007_0, .*; .*b\.csv has them",
    "other images": r"a\.csv: 4 of 8 images have no rows, x007_0\.png, .*; .*b\.csv has them",
}


@pytest.fixture
def arguments(perfect: str, root: Path, tmp_path: Path) -> Arguments:
    """The arguments of a program that succeeds; keywords replace them, None takes one away."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(perfect)

    def make(**changes: object) -> list[object]:
        files = [changes.pop(name, tmp_path / f"{name}.csv") for name in ("a", "b")]
        values = {"html": tmp_path / "c.html", "truth": root / "test", **changes}
        given = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
        return [*files, *(part for name, value in given.items() for part in (f"--{name}", value))]

    return make


def test_equal_files_are_compared(arguments: Arguments, tmp_path: Path) -> None:
    ended = call(main, *arguments())
    assert (ended.code, "Dice of A with B: 1.0000" in ended.told) == (0, True), ended.told


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_faulty_submission_is_reported_and_no_page_is_written(
    name: str, perfect: str, arguments: Arguments, tmp_path: Path
) -> None:
    spoil, sentence = SUBMISSIONS[name]
    (tmp_path / "b.csv").write_text(spoil(perfect))
    assert_refused(main, *arguments(), sentence=OTHER_IMAGES.get(name, sentence))
    assert not (tmp_path / "c.html").exists()


@pytest.mark.parametrize("name", LABEL_DAMAGES)
def test_a_damaged_label_of_the_truth_is_reported(name: str, root: Path, arguments: Arguments, pair_of: PairOf) -> None:
    damage, sentence = LABEL_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(main, *arguments(), sentence=sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"a": "nothing.csv"}, r"nothing\.csv: the submission cannot be read"),
        ({"b": "configs"}, r"configs: is a folder\. Name a CSV file"),
        ({"truth": "nowhere"}, r"--truth .*nowhere: no such file or folder\. Name a split folder"),
        ({"truth": None}, r"its runs end at pixel \d+ of an image, .* not 2048 x 2048 px\. Give .* --size-px"),
        ({"truth": None, "size_px": 0}, "--size-px 0: expected 1 to 16384"),
        ({"images": "nowhere"}, "nowhere: no such folder"),
        ({"images": "configs"}, "configs: no image in it"),
        ({"html": "configs"}, r"configs: is a folder\. Name a file"),
        ({"html": "LICENSE/c.html"}, r"LICENSE: is a file, not a folder\. Name another place"),
        ({"task": "hand"}, r"'hand' is not a task\. Did you mean 'hand_bone'"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(main, *arguments(**changes), sentence=sentence)
