from __future__ import annotations

import os

import pytest

from trainer.build import useful_workers


@pytest.mark.parametrize(("wanted", "processes", "started"), [(0, 1, 0), (2, 1, 2), (16, 1, 4), (16, 2, 2), (16, 9, 1)])
def test_no_more_workers_are_started_than_there_are_cores(
    wanted: int, processes: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert useful_workers(wanted, processes) == started
