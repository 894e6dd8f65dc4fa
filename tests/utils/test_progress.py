from __future__ import annotations

import pytest

from utils import progress


def test_without_a_terminal_progress_is_plain_lines_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(progress.track(range(4), "Rendering")) == [0, 1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Rendering 1/4", "Rendering 2/4", "Rendering 3/4, 0:00 left", "Rendering 4/4 in 0:00"]


def test_the_time_left_follows_from_the_items_after_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of five takes 50 s, because processes start, and each further one 20 s."""
    now_s = [0.0]
    monkeypatch.setattr("utils.progress.time.monotonic", lambda: now_s[0])
    meter = progress.Meter("Epoch 1/2, batch")
    meter.expect(5)
    for time_s in (50.0, 70.0, 90.0, 110.0, 130.0):
        now_s[0] = time_s
        meter.advance()
    meter.close()
    assert capsys.readouterr().err.splitlines() == [
        "Epoch 1/2, batch 1/5",
        "Epoch 1/2, batch 2/5",
        "Epoch 1/2, batch 3/5, 0:40 left",
        "Epoch 1/2, batch 4/5, 0:20 left",
        "Epoch 1/2, batch 5/5 in 2:10",
    ]


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress.track(range(100), "Reading"))
    assert capsys.readouterr().err == ""
