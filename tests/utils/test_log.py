from __future__ import annotations

import logging
from pathlib import Path

import pytest

from utils.log import FILE_ONLY, close_log, log_to_console, log_to_file


@pytest.fixture(autouse=True)
def _restored_root(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))


def test_a_message_for_the_file_alone_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    handler = log_to_file(tmp_path / "log.txt")
    logging.getLogger("x").info("for both")
    logging.getLogger("x").error("for the file", extra=FILE_ONLY)
    close_log(handler)
    assert capsys.readouterr().err == "for both\n"
    assert "for the file" in (tmp_path / "log.txt").read_text()


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    handler = log_to_file(Path("/dev/full"))
    for _ in range(3):
        logging.getLogger("x").error("lost", extra=FILE_ONLY)
    close_log(handler)
    told = capsys.readouterr().err
    assert told.count("the log could not be written") == 1
    assert "Traceback" not in told
