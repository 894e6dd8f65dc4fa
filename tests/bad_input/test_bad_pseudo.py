"""python -m data.pseudo, and what a user may get wrong about files, images and arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import pseudo
from tests.bad_input.damages import IMAGE_DAMAGES
from tests.bad_input.programs import assert_refused, call
from tests.bad_input.submissions import SUBMISSIONS
from tests.bad_input.test_bad_evaluate import SEEN_AT_THE_HEADER

Arguments = Callable[..., list[object]]
PairOf = Callable[[Path], tuple[Path, Path]]
OTHER_IMAGES = {
    "a missing image": None,  # A submission of fewer images labels fewer.
    "names without .png": r"DCM: 4 of the 4 images of .*a\.csv are not there, image0007_0, .*Did you mean 'image0007_0",
    "other images": r"DCM: 4 of the 4 images of .*a\.csv are not there, x007_0\.png",
    "past the end": r"a\.csv: image0007_0\.png, finger-2: a run ends at pixel 4097, outside the image of 64 x 64 px",
}


@pytest.fixture
def arguments(perfect: str, root: Path, tmp_path: Path) -> Arguments:
    """The arguments of a program that succeeds; keywords replace them, None takes one away."""
    (tmp_path / "a.csv").write_text(perfect)

    def make(**changes: object) -> list[object]:
        values = {"csv": tmp_path / "a.csv", "images": root / "test" / "DCM", "out": tmp_path / "out", **changes}
        given = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
        parts = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
        return [part for name, value in parts.items() for part in (f"--{name}", *value)]

    return make


def test_what_is_whole_is_taken(arguments: Arguments, tmp_path: Path) -> None:
    ended = call(pseudo.main, *arguments())
    assert (ended.code, len(list((tmp_path / "out").glob("train/*/*/*")))) == (0, 8), ended.told


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_faulty_submission_is_reported_and_nothing_is_written(
    name: str, perfect: str, arguments: Arguments, tmp_path: Path
) -> None:
    spoil, sentence = SUBMISSIONS[name]
    told = OTHER_IMAGES.get(name, sentence)
    (tmp_path / "a.csv").write_text(spoil(perfect))
    if told is None:
        assert call(pseudo.main, *arguments()).code == 0
    else:
        assert_refused(pseudo.main, *arguments(), sentence=told)
        assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("name", sorted(SEEN_AT_THE_HEADER))
def test_a_damaged_image_is_reported(name: str, root: Path, arguments: Arguments, pair_of: PairOf) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(pseudo.main, *arguments(), sentence=sentence)


def test_empty_masks_are_never_taught(perfect: str, arguments: Arguments, tmp_path: Path) -> None:
    rows = [",".join([*line.split(",")[:2], ""]) for line in perfect.splitlines()[1:]]
    (tmp_path / "a.csv").write_text("\n".join(["image_name,class,rle", *rows]))
    sentence = r"a\.csv: no image is left\. Every one lacks a class, and its label would teach that there is none"
    assert_refused(pseudo.main, *arguments(), sentence=sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"csv": None}, "the following arguments are required: --csv"),
        ({"csv": "nothing.csv"}, r"nothing\.csv: the submission cannot be read"),
        ({"csv": "configs"}, r"configs: is a folder\. Name a CSV file"),
        ({"images": "nowhere"}, "nowhere: no such folder"),
        ({"images": "configs"}, "configs: no image in it"),
        ({"out": None}, "the following arguments are required: --out"),
        ({"out": "LICENSE"}, r"--out LICENSE: is a file\. Name a folder"),
        ({"out": "/proc/carpus"}, r"/proc/carpus.*could not be written"),
        ({"min_agreement": 0.9}, "--min-agreement: one file agrees with itself. Name two or more with --csv"),
        ({"min_agreement": 90}, "--min-agreement 90: expected a Dice above 0 and up to 1, such as 0.9"),
        ({"min_agreement": "high"}, "argument --min-agreement: invalid float value: 'high'"),
        ({"min_agreement": "nan"}, "--min-agreement nan: expected a Dice above 0"),
        ({"task": "hand"}, r"'hand' is not a task\. Did you mean 'hand_bone'"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(pseudo.main, *arguments(**changes), sentence=sentence)
