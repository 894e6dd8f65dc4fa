from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.lock import Busy, locked, locked_within

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from utils.lock import locked
with locked(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from utils.lock import locked
with locked(Path(sys.argv[1]), "busy"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""
HOLD_AS_AN_NFS_SERVER_FOR_ITS_CLIENT = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(code: str, path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs `code` with `path`, and its first line; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def is_free(path: Path) -> bool:
    try:
        with locked(path, "busy"):
            return True
    except Busy:
        return False


def test_one_process_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "lock"
    with another_process(HOLD, path) as (process, _):
        with pytest.raises(Busy, match=rf"^x: in use \(process {process.pid} on .+\)\. Wait for it, or end it"):
            locked(path, "x: in use").__enter__()
        process.communicate()
        assert is_free(path)


def test_one_holds_a_lock_at_a_time_in_one_process_too(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", "busy"):
        with pytest.raises(Busy, match="x: in use \\(this process\\)"):
            locked(tmp_path / "lock", "x: in use").__enter__()
        command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert f"busy (process {os.getpid()} on " in done.stderr, "the second try has freed the first lock"
    assert is_free(tmp_path / "lock")


def test_a_lock_ends_with_a_killed_process_although_its_forked_children_live_on(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another_process(HOLD_AND_FORK, path) as (process, child):
        try:
            assert not is_free(path)
            process.kill()
            process.wait()
            os.kill(int(child), 0)  # raises if the child is gone
            assert is_free(path)
        finally:
            os.kill(int(child), 9)


def test_a_forked_child_does_not_hold_the_locks_of_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom utils.lock import Busy, locked\n"
        "with locked(Path(sys.argv[1]), 'busy'):\n"
        "    if not os.fork():\n"
        "        try: locked(Path(sys.argv[1]), 'busy').__enter__()\n"
        "        except Busy as error: print(error, flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    with another_process(code, tmp_path / "lock") as (process, line):
        assert line.startswith(f"busy (process {process.pid} on ")


def test_the_machine_that_exports_a_disk_sees_the_locks_of_its_clients(tmp_path: Path) -> None:
    """An NFS server takes the locks of its clients as POSIX record locks. `flock`, which filelock uses, fails here."""
    path = tmp_path / "lock"
    with another_process(HOLD_AS_AN_NFS_SERVER_FOR_ITS_CLIENT, path):
        assert not is_free(path)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_a_file_system_without_locks_grants_every_lock(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    assert is_free(tmp_path / "lock")


def test_a_lock_file_that_another_user_owns_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\)\. Choose another folder\.$"):
        is_free(tmp_path / "lock")
    monkeypatch.undo()
    assert is_free(tmp_path / "lock"), "the refused try still counts as a holder"


def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written .* Choose another folder"):
        is_free(tmp_path / "file" / "lock")


def test_who_waits_gets_the_lock_when_its_holder_lets_go(tmp_path: Path) -> None:
    path, let_go = tmp_path / "lock", threading.Event()

    def hold() -> None:
        with locked(path, "busy"):
            held.set()
            let_go.wait(10)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    with pytest.raises(Busy), locked_within(path, 0.1, "busy"):
        pass
    threading.Timer(0.1, let_go.set).start()
    start_s = time.monotonic()
    with locked_within(path, 10, "busy"):
        assert time.monotonic() - start_s >= 0.05
    holder.join()


def test_a_lock_holds_on_a_full_disk_without_the_name_of_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("utils.lock.os.pwrite", full)
    with (
        locked(tmp_path / "lock", "busy"),
        pytest.raises(Busy, match="this process"),
        locked(tmp_path / "lock", "busy"),
    ):
        pass


def test_a_lock_is_not_held_through_a_link_which_would_overwrite_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("precious")
    (tmp_path / "lock").symlink_to("secret")
    with pytest.raises(UserError, match="lock is a link, which is not followed: delete it"):
        is_free(tmp_path / "lock")
    assert (tmp_path / "secret").read_text() == "precious"
