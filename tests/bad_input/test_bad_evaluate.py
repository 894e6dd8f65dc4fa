"""evaluate.py, and what a user may get wrong about submission, truth and outputs: one sentence and exit code 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluate
from tests.bad_input.damages import IMAGE_DAMAGES, LABEL_DAMAGES, draw
from tests.bad_input.programs import assert_refused, call
from tests.bad_input.submissions import SUBMISSIONS

PairOf = Callable[[Path], tuple[Path, Path]]
Arguments = Callable[..., list[object]]
SEEN_AT_THE_HEADER = {"header cut", "pixels cut", "end cut", "no bytes", "a GIF", "text", "60000 px"}
"""Damages of images that show without decoding; scores need no pixel of an image."""


@pytest.fixture
def prediction(perfect: str, tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    path.write_text(perfect)
    return path


@pytest.fixture
def arguments(prediction: Path, root: Path) -> Arguments:
    """The arguments of a scoring; keywords replace them."""

    def make(**changes: object) -> list[object]:
        values = {"prediction": prediction, "truth": root / "test", **changes}
        given = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
        return [part for name, value in given.items() for part in (f"--{name}", value)]

    return make


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_faulty_submission_is_reported_as_prediction_and_as_truth(
    name: str, perfect: str, prediction: Path, arguments: Arguments, tmp_path: Path
) -> None:
    spoil, sentence = SUBMISSIONS[name]
    prediction.write_text(spoil(perfect))
    assert_refused(evaluate.main, *arguments(), sentence=sentence)
    if name in {"a missing image", "names without .png", "other images"}:
        return  # As the truth these ask for other images, and are not wrong by themselves.
    (tmp_path / "whole.csv").write_text(perfect)
    sentence = sentence if name != "past the end" else "its runs end at pixel 4097"
    given = arguments(prediction=tmp_path / "whole.csv", truth=prediction, size_px=64)
    assert_refused(evaluate.main, *given, sentence=sentence)


@pytest.mark.parametrize("spoil", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(
    spoil: Callable[[str], str], perfect: str, prediction: Path, arguments: Arguments
) -> None:
    prediction.write_bytes(spoil(perfect).encode())
    assert call(evaluate.main, *arguments()).code == 0


@pytest.mark.parametrize("name", sorted(SEEN_AT_THE_HEADER))
def test_a_damaged_image_of_the_truth_is_reported(name: str, root: Path, arguments: Arguments, pair_of: PairOf) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(evaluate.main, *arguments(), sentence=sentence)


@pytest.mark.parametrize("name", sorted(IMAGE_DAMAGES.keys() - SEEN_AT_THE_HEADER))
def test_damage_among_the_pixels_matters_to_pictures_alone(
    name: str, root: Path, arguments: Arguments, pair_of: PairOf, tmp_path: Path
) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert call(evaluate.main, *arguments()).code == 0
    given = arguments(gallery=tmp_path / "gallery", json=tmp_path / "score.json")
    assert_refused(evaluate.main, *given, sentence=sentence)
    assert (tmp_path / "score.json").exists()


@pytest.mark.parametrize("name", LABEL_DAMAGES)
def test_a_damaged_label_of_the_truth_is_reported(name: str, root: Path, arguments: Arguments, pair_of: PairOf) -> None:
    damage, sentence = LABEL_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(evaluate.main, *arguments(), sentence=sentence)


def test_an_image_smaller_than_its_prediction_is_reported(root: Path, arguments: Arguments, pair_of: PairOf) -> None:
    draw(pair_of(root / "test")[0], np.zeros((32, 32), np.uint8))
    assert_refused(
        evaluate.main, *arguments(), sentence=r"outside the image of 32 x 32 px\. Predict at the image's own"
    )


def test_a_csv_of_images_of_another_size_asks_for_it(prediction: Path, arguments: Arguments) -> None:
    sentence = r"its runs end at pixel \d+ of an image, so the images are not 2048 x 2048 px\. Give .* --size-px"
    assert_refused(evaluate.main, *arguments(truth=prediction), sentence=sentence)
    assert call(evaluate.main, *arguments(truth=prediction, size_px=64)).code == 0


def test_a_truth_without_labels_or_images_is_reported(root: Path, arguments: Arguments) -> None:
    shutil.rmtree(root / "test" / "outputs_json")
    assert_refused(evaluate.main, *arguments(), sentence=r"outputs_json: no such folder\. A split folder holds")
    shutil.rmtree(root / "test" / "DCM")
    assert_refused(evaluate.main, *arguments(), sentence=r"DCM: no such folder\.")
    for name in ("DCM", "outputs_json"):
        (root / "test" / name).mkdir()
    assert_refused(evaluate.main, *arguments(), sentence=r"DCM: no image .* Put the images there, or")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prediction": "nothing.csv"}, r"nothing\.csv: the submission cannot be read .No such file"),
        ({"prediction": "configs"}, r"configs: is a folder\. Name a CSV file"),
        ({"prediction": "docs/images/hands.jpg"}, r"hands\.jpg: byte 1 is no UTF-8 text\. Is it a CSV"),
        ({"prediction": None}, "the following arguments are required: --prediction"),
        ({"truth": "nowhere"}, r"--truth .*nowhere: no such file or folder\. Name a split folder"),
        ({"truth": "configs"}, "configs/DCM: no such folder"),
        ({"truth": "LICENSE"}, "LICENSE: row 1: the header is"),
        ({"size_px": "wide"}, "argument --size-px: invalid int value: 'wide'"),
        ({"json": "configs"}, r"configs: is a folder\. Name a file in it"),
        ({"json": "LICENSE/score.json"}, r"LICENSE: is a file, not a folder\. Name another place"),
        ({"gallery": "LICENSE"}, r"LICENSE: is a file, not a folder\. Name another place"),
        ({"gallery": "/proc/carpus"}, r"/proc/carpus: cannot be written to .* Name another place"),
        ({"task": "hand"}, r"'hand' is not a task\. Did you mean 'hand_bone'"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(evaluate.main, *arguments(**changes), sentence=sentence)


@pytest.mark.parametrize("size_px", [0, -1, 10**9])
def test_a_side_that_no_image_has_is_reported(size_px: int, prediction: Path, arguments: Arguments) -> None:
    given = arguments(truth=prediction, size_px=size_px)
    assert_refused(evaluate.main, *given, sentence=rf"--size-px {size_px}: expected 1 to 16384, the side of the images")


def test_the_submission_is_never_overwritten(prediction: Path, arguments: Arguments, perfect: str) -> None:
    assert_refused(evaluate.main, *arguments(json=prediction), sentence="is read as well, and would be overwritten")
    assert prediction.read_text() == perfect
