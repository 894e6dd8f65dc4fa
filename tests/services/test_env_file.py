from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from services.env_file import change_env, changed_text, env_lock
from services.secrets import read_env
from utils.errors import UserError
from utils.lock import Busy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "A=new\n"),
        ("B=1\n", "B=1\nA=new\n"),
        ("B=1", "B=1\nA=new\n"),
        ("B=1\r\nC=2\r\n", "B=1\r\nC=2\r\nA=new\r\n"),
        ("# A=no\nA=old\n\n  B = 2\n", "# A=no\nA=new\n\n  B = 2\n"),
        ("A=old  # why\nB=1\n", "A=new  # why\nB=1\n"),
        ("A= # nothing yet\n", "A=new # nothing yet\n"),
        ("A=#old\nB=1\n", "A=new\nB=1\n"),
        ("export A='o#ld' # why\r\nB=1\r\n", "export A=new # why\r\nB=1\r\n"),
        ('A="o\\"l\nd"\nB=1\n', "A=new\nB=1\n"),
        ("B='\nA=inside\n'\nA=old\n", "B='\nA=inside\n'\nA=new\n"),
        ("A=1\nB=2\nA=3", "A=new\nB=2\nA=new"),
        ("AA=1\nXA=2\nA\n", "AA=1\nXA=2\nA\nA=new\n"),
        ("A=\n", "A=new\n"),
        ("\ufeffA=old\n", "\ufeffA=new\n"),
        ("B='unclosed\nA=old\n", "B='unclosed\nA=new\n"),
    ],
)
def test_only_the_named_variable_changes(before: str, after: str) -> None:
    assert changed_text(before, {"A": "new"}) == after


@pytest.mark.parametrize(
    "value", ["plain-1_2.3~4+5/6==", "with space", "it's", 'a "b" c', "back\\slash", "#x", "ä\n한"]
)
def test_any_value_is_read_back_as_it_was_written(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    change_env(path, {"A": "1", "B": value, "C": "3"})
    assert read_env(path) == {"A": "1", "B": value, "C": "3"}
    change_env(path, {"B": "2"})
    assert read_env(path) == {"A": "1", "B": "2", "C": "3"}


def test_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"# \xff\xfe\nA=1\n")
    change_env(path, {"A": "2"})
    assert path.read_bytes() == b"# \xff\xfe\nA=2\n"


def test_nobody_else_can_read_it_and_nothing_remains_beside_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("B=1\n")
    (tmp_path / "..env.killed.part").write_text("A=secret\n")
    assert change_env(path, {"A": "2"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".env", ".env.lock"]


def test_what_is_already_so_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    change_env(path, {"A": "1"})
    inode = path.stat().st_ino
    assert not change_env(path, {"A": "1"})
    assert path.stat().st_ino == inode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "env"
    target.write_text("A=1\n")
    link = tmp_path / ".env"
    link.symlink_to(target)
    change_env(link, {"A": "2"})
    assert link.is_symlink()
    assert target.read_text() == "A=2\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_renews_stays_its_owner_s(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    os.chown(path, 1234, 1235)
    change_env(path, {"A": "2"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"could not be written \(No space left"):
        change_env(path, {"A": "2"})
    assert path.read_text() == "A=1\n"


def test_changes_of_many_threads_all_arrive(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    threads = [Thread(target=change_env, args=(path, {f"K{number}": str(number)})) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_env(path) == {f"K{number}": str(number) for number in range(8)}


def test_who_waits_too_long_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    with env_lock(path), pytest.raises(Busy, match="another program is changing it"), env_lock(path, wait_s=0.01):
        pass
    with env_lock(path, wait_s=0.01):
        pass
