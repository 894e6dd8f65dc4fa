from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from torch import nn

from configs.loading.load import from_mapping
from configs.schema import Config
from models import check_input_size
from tests.contest import write_split
from tests.networks import UNET
from trainer.report.report import write_report


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six training and two test patients, 64 px."""
    folder = tmp_path_factory.mktemp("contest")
    write_split(folder / "train", patients=6)
    write_split(folder / "test", patients=2, first=7, seed=1)
    return folder


@pytest.fixture(scope="session")
def make_config_in(root: Path) -> Callable[..., Config]:
    """A tiny experiment in `<folder>/runs`; keywords replace whole sections, or update those that are mappings."""

    def make(folder: Path, **changes: Any) -> Config:
        values: dict[str, Any] = {
            "run": {"name": "tiny", "folder": str(folder / "runs")},
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 64, "train": ["hflip"]},
            "model": UNET,
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
def make_config(make_config_in: Callable[..., Config], tmp_path: Path) -> Callable[..., Config]:
    """As `make_config_in`, in a folder of the test's own."""
    return partial(make_config_in, tmp_path)


@pytest.fixture
def hurried_studies() -> Iterator[None]:
    """Every write of a study is flushed to the disk, which would take most of these tests' time."""

    def hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    yield
    event.remove(Engine, "connect", hurry)


@pytest.fixture(autouse=True, scope="module")
def _quick_runs() -> Iterator[None]:
    """Leave out what takes two thirds of a tiny run and is the same in each; tests of reports ask for `reports`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.report.report.write_report", lambda folder: folder.report)
        patch.setattr("trainer.input_sizes.check_input_size", check_once(check_input_size))
        yield


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs write their reports."""
    monkeypatch.setattr("trainer.report.report.write_report", write_report)


def check_once(check: Callable[..., None]) -> Callable[..., None]:
    """`check`, which is left out for a network and a size that have passed it already."""
    passed: set[str] = set()

    def check_unless_passed(model: nn.Module, input_chw: tuple[int, int, int], *more: Any) -> None:
        network = [(name, tuple(parameter.shape)) for name, parameter in model.named_parameters()]
        this = repr((type(model), network, input_chw, more))
        if this not in passed:
            check(model, input_chw, *more)
        passed.add(this)

    return check_unless_passed
