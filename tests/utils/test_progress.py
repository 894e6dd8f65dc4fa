from __future__ import annotations

import pytest

from utils import progress


def test_without_a_terminal_progress_is_plain_lines_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(progress.track(range(3), "Rendering")) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Rendering 1/3, 0:00 left", "Rendering 2/3, 0:00 left", "Rendering 3/3 in 0:00"]


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress.track(range(100), "Reading"))
    assert capsys.readouterr().err == ""
