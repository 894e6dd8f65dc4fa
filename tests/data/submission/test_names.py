"""Names of images in submissions: those that only differ in how their letters are stored are one name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from data.hand_bone.classes import BONES
from data.submission.rows import read_rows
from utils.errors import UserError

STORED, TYPED = (unicodedata.normalize(form, "한글.png") for form in ("NFD", "NFC"))


def write(path: Path, *names: str) -> Path:
    rows = [f"{name},{bone}," for name in names for bone in BONES]
    path.write_text("\n".join(["image_name,class,rle", *rows]) + "\n")
    return path


def test_a_name_is_read_composed(tmp_path: Path) -> None:
    assert list(read_rows(write(tmp_path / "a.csv", STORED), BONES).names) == [TYPED]


def test_a_name_in_both_ways_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds an image twice"):
        read_rows(write(tmp_path / "a.csv", STORED, TYPED), BONES)
