from __future__ import annotations

import os

import pytest

from utils.system import cores
from utils.system.cgroup import Limits


@pytest.mark.parametrize(("quota", "usable"), [(None, 4), (16.0, 4), (2.0, 2), (1.5, 2), (0.2, 1)])
def test_a_containers_quota_counts_as_well_as_affinity(
    quota: float | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(cores, "look_at_limits", lambda: Limits(cores=quota))
    assert cores.usable_cores() == usable
