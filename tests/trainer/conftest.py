from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from configs.loading.load import from_mapping
from configs.schema import Config
from tests.contest import write_split


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six training and two test patients, 64 px."""
    folder = tmp_path_factory.mktemp("contest")
    write_split(folder / "train", patients=6)
    write_split(folder / "test", patients=2, first=7, seed=1)
    return folder


@pytest.fixture
def make_config(root: Path, tmp_path: Path) -> Callable[..., Config]:
    """A tiny experiment; keywords replace whole sections, or update those that are mappings."""

    def make(**changes: Any) -> Config:
        values: dict[str, Any] = {
            "run": {"name": "tiny", "folder": str(tmp_path / "runs")},
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 64, "train": ["hflip"]},
            "model": {"name": "unet", "encoder": "tu-mobilenetv3_small_050", "encoder_weights": None},
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "scheduler": {"name": "cosine"},
            "trainer": {"epochs": 2, "batch_size": 2, "precision": "fp32"},
            "early_stopping": None,
            "services": {"mlflow": {"local": False}},
        }
        for key, value in changes.items():
            values[key] = {**values[key], **value} if isinstance(value, dict) and values.get(key) else value
        return from_mapping(values)

    return make


@pytest.fixture
def hurried_studies() -> Iterator[None]:
    """Every write of a study is flushed to the disk, which would take most of these tests' time."""

    def hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    yield
    event.remove(Engine, "connect", hurry)
