"""The file of thresholds: written whole, and read with doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.threshold_file import load_thresholds, save_thresholds
from utils.errors import UserError

CLASSES = ("Lunate", "Radius", "Ulna")


def test_thresholds_come_back_in_the_order_of_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    save_thresholds(path, {"Ulna": 0.3, "Lunate": 0.5, "Radius": 0.62}, {"images": 12})
    assert load_thresholds(path, CLASSES) == (0.5, 0.62, 0.3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"thresholds\.json: is not JSON"),
        ("[" * 100_000, r"thresholds\.json: is not JSON"),
        ("[]", r'expected \{"thresholds"'),
        ('{"thresholds": [0.5]}', r'expected \{"thresholds"'),
        ('{"thresholds": {"Lunate": 0.5, "Ulna": 0.5}}', "lacks a threshold for Radius"),
        (
            '{"thresholds": {"Lunate": 0.5, "Ulna": 0.5, "Radius": 0.5, "Radus": 0.5}}',
            r"'Radus' is not a class of this task. Did you mean 'Radius'\?",
        ),
        *(
            (
                f'{{"thresholds": {{"Lunate": {value}, "Ulna": 0.5, "Radius": 0.5}}}}',
                "thresholds.Lunate: expected a number",
            )
            for value in ("0", "1", "-0.1", "NaN", "true", '"0.5"', "null", "1e999")
        ),
    ],
)
def test_any_other_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_thresholds(path, CLASSES)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            load_thresholds(path, CLASSES)
