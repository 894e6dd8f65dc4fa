from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu.bench import Bench
from benchmarks.material import load_material
from tests.contest import write_split
from trainer.distributed.processes import start_accelerator


@pytest.fixture(autouse=True)
def _memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests measure memory in this process, which the program would keep from here on."""
    monkeypatch.setattr("benchmarks.gpu.__main__.start_computing", lambda: None)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled images of 64 px."""
    folder = tmp_path_factory.mktemp("films")
    write_split(folder / "train", patients=2)
    return folder


@pytest.fixture(scope="session")
def bench(films: Path) -> Iterator[Bench]:
    """Small networks on the CPU, built without asking which sizes they take: that takes as long as all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.build.check_sizes", lambda *_: None)
        yield Bench(start_accelerator(), tiny=True, material=load_material(films, 4))
