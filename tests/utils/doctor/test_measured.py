"""The measurement seen from outside: how each of its ends is told, and that nothing is left running."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from utils.doctor import measured
from utils.doctor.finding import as_plain, ok
from utils.doctor.measured import MeasurementEnd, check_config, check_end, wait_or_kill

STARTED = {"stage": "the first training step, 4 images of 1536 px", "findings": [as_plain(ok("data set", "fine"))]}


@pytest.mark.parametrize(
    ("code", "record", "errors", "topic", "words"),
    [
        (None, STARTED, "", "measure", "not done after 60 s, and ended while at: the first training step, 4"),
        (-signal.SIGKILL, STARTED, "", "memory", "out of memory"),
        (137, STARTED, "", "memory", "out of memory"),
        (-signal.SIGBUS, STARTED, "", "shared mem", "bus error"),
        (2, {}, "c.yaml:3: trainer.epoch: unknown key.\n", "config", "c.yaml:3: trainer.epoch: unknown key."),
        (1, {}, "Traceback\n  x\nImportError: no accelerate\n", "measure", "failed at: start (ImportError: no accel"),
        (-11, {}, "", "measure", "exit code -11"),
    ],
)
def test_each_end_has_its_line(code: int | None, record: dict[str, Any], errors: str, topic: str, words: str) -> None:
    found = check_end(MeasurementEnd(code, record, errors, 60), "c.yaml")
    assert (found.level, found.topic) == ("problem", topic)
    assert words in found.text
    assert found.remedy


def test_a_busy_machine_is_blamed_before_the_config() -> None:
    busy = "4.0 of 2 cores were busy in the last minute: others slow this machine down"
    found = check_end(MeasurementEnd(None, STARTED, "", 60, busy), "c.yaml")
    assert busy in found.text
    assert "other programs" in found.remedy
    assert "transform.size_px" not in found.remedy


def test_what_was_found_before_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "measure", lambda *_: MeasurementEnd(None, STARTED, "", 60))
    assert [found.topic for found in check_config("c.yaml", [], 60)] == ["data set", "measure"]
    monkeypatch.setattr(measured, "measure", lambda *_: MeasurementEnd(2, {**STARTED, "stage": "done"}, "", 60))
    assert [found.topic for found in check_config("c.yaml", [], 60)] == ["data set"]


def test_a_disk_without_room_for_the_record_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> MeasurementEnd:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(measured, "measure", refuse)
    (found,) = check_config("c.yaml", [], 60)
    assert (found.level, "No usable temporary directory" in found.text) == ("problem", True)


def test_a_measurement_that_takes_too_long_is_ended_with_its_children() -> None:
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('begun', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout as pipe:
        assert pipe.readline() == b"begun\n"
        assert wait_or_kill(process, 0.01) is None
        assert pipe.read() == b""  # the pipe's end: nobody holds it any more, the child neither
    assert process.returncode == -signal.SIGKILL
