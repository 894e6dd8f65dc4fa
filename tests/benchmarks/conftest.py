from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.material import Material, load_material
from tests.contest import write_split


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled images of 64 px."""
    folder = tmp_path_factory.mktemp("benchmark")
    write_split(folder / "train", patients=2)
    return folder


@pytest.fixture(scope="session")
def material(root: Path) -> Iterator[Material]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.cutouts.BATCH", 2)
        yield load_material(root, 4)
