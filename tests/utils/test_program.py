from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root import ROOT
from utils.errors import UserError
from utils.program import exit_code_of, main_on_expanded_arguments

INTERRUPTED_BAR = """
import logging
from utils.errors import UserError
from utils.program import exit_code_of, main_on_expanded_arguments
from utils.log import log_to_console
from utils.progress import track

def main():
    log_to_console()
    items = track(range(9), "Working")
    for item in items:
        logging.getLogger("work").info("a line of the log")
        raise UserError("x.png: broken. Fix it.")

exit(exit_code_of(main))
"""

WORK_AND_TALK = """
import sys
from pathlib import Path
from rich.console import Console
from utils.log import log_to_console
from utils.program import run_program

def main():
    log_to_console()
    for number in range(2000):
        Console().print("line", number, "한글")
        sys.stderr.write("progress\\n")
    Path(sys.argv[1]).write_text("done")
    return 0

run_program(main)
"""


@pytest.fixture(autouse=True)
def _signals_stay() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def raising(error: BaseException) -> int:
    def main() -> None:
        raise error

    return exit_code_of(main)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UserError("x.csv: broken. Fix it."), 2, "x.csv: broken. Fix it.\n"),
        (PermissionError(13, "Permission denied", "/data"), 2, "/data: permission denied. Change its permissions, or"),
        (OSError(36, "File name too long", "d" * 300), 2, f"{'d' * 60}…: is longer than a file's name can be. Give"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_end_that_is_no_bug_of_ours_is_a_sentence_and_a_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == code
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize("error", [ValueError("ours"), PermissionError("of no file"), OSError(5, "Input/output error")])
def test_a_bug_of_ours_keeps_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(error) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):")
    assert told.endswith(f"{type(error).__name__}: {error}\n")


def test_a_second_signal_does_not_end_the_work_that_the_first_has_caused(capsys: pytest.CaptureFixture[str]) -> None:
    """`timeout` and some queues signal the program, and then its group."""
    done = []

    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("a table")

    assert exit_code_of(main) == 130
    assert done == ["a table"]
    assert capsys.readouterr().err == "Interrupted.\n"


def test_no_secret_is_in_a_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    raising(UserError("services.slack.channel=xoxb-12-abc: is no channel."))
    raising(ValueError("Bearer abcdefgh was refused"))
    told = capsys.readouterr().err
    assert "xoxb" not in told
    assert "abcdefgh" not in told
    assert "services.slack.channel=***: is no channel." in told


def test_no_line_is_drawn_over_by_a_progress_bar() -> None:
    """On a terminal the bar redraws its line."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-c", INTERRUPTED_BAR]
    done = subprocess.run(command, cwd=ROOT, env=environment, stderr=theirs, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert done.returncode == 2
    wiped, _, last = shown.rpartition("\x1b[2K")
    assert last == "x.png: broken. Fix it.\r\n"
    assert "a line of the log\r\n" in wiped or "a line of the log\x1b" in wiped


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        ("2>&1 | head -1", 0, "line 0"),
        (">&- 2>&-", 0, ""),
        (">&-", 0, "progress"),
        (">/dev/full 2>/dev/null", 2, ""),
        ("2>/dev/full >/dev/null", 0, ""),
    ],
)
def test_work_is_done_to_the_end_whoever_reads(redirection: str, code: int, told: str, tmp_path: Path) -> None:
    result = tmp_path / "result"
    script = tmp_path / "work.py"
    script.write_text(WORK_AND_TALK)
    command = f'"{sys.executable}" "{script}" "{result}" {redirection}; exit ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert result.read_text() == "done", done.stderr
    assert (done.returncode, done.stdout[:6] if "head" in redirection else done.stderr[:8]) == (code, told)
    assert "Traceback" not in done.stderr


def test_the_reader_of_a_disk_that_is_full_learns_it() -> None:
    command = [sys.executable, "-m", "data.phantom", "--help"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr[:52]) == (2, "stdout: could not be written (No space left on devic")


def test_home_is_expanded_in_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    monkeypatch.setattr(sys, "argv", ["x.py", "~/a", "--out=$HOME/b", "--price", "5$", "trainer.epochs=1"])
    main_on_expanded_arguments(lambda: None)
    assert sys.argv[1:] == ["/home/kim/a", "--out=/home/kim/b", "--price", "5$", "trainer.epochs=1"]
