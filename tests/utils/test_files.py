from __future__ import annotations

from pathlib import Path

import pytest

from utils.errors import UserError
from utils.files import paths_in, read_json, replacing, write_text


def test_a_file_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answer.txt"
    write_text(path, "42")
    assert path.read_text() == "42"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        write_text(tmp_path / "taken" / "answer.txt", "42")


def test_json_may_begin_with_the_mark_that_windows_writes(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_bytes(b'\xef\xbb\xbf{"runs/a": 2}\r\n')
    assert read_json(path, unreadable="", malformed="") == {"runs/a": 2}


def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fold_2.csv", "fold_1.csv", "other.csv", "._other.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in paths_in(tmp_path, "*")] == ["fold_1.csv", "fold_2.csv", "other.csv"]
    assert [path.name for path in paths_in(tmp_path, "fold_*.csv")] == ["fold_1.csv", "fold_2.csv"]
    assert paths_in(tmp_path / "absent", "*") == paths_in(tmp_path / "other.csv", "*") == []

    def refuse(folder: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("utils.files.os.listdir", refuse)
    with pytest.raises(UserError, match=r"the folder cannot be read \(Permission denied\)"):
        paths_in(tmp_path, "*")
