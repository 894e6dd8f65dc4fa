from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from configs.loading.load import as_dict, dump, from_mapping
from configs.schema import Config
from data.hand_bone.task import hand_bone
from data.masks.rle import encode, to_text
from data.tasks import TASKS
from tests.contest import write_split
from tests.networks import UNET
from tests.root import ROOT
from trainer.build import build_model
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are called where they lie."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without a fault."""
    root = tmp_path_factory.mktemp("whole")
    write_split(root / "train", patients=3)
    write_split(root / "test", patients=2, first=7, seed=1)
    return root


@pytest.fixture(scope="session")
def perfect(whole: Path) -> str:
    """The rows of a submission that is the truth."""
    rows = ["image_name,class,rle"]
    for sample in hand_bone.layout.find_samples(whole / "test", labelled=True):
        runs = encode(hand_bone.read(sample)[1], len(hand_bone.classes))
        rows += [f"{sample.name},{label},{to_text(its)}" for label, its in zip(hand_bone.classes, runs, strict=True)]
    return "\n".join(rows) + "\n"


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "data"))


@pytest.fixture(scope="session")
def pair_of() -> Callable[[Path], tuple[Path, Path]]:
    """The first image of a split folder, and its label."""

    def find(split: Path) -> tuple[Path, Path]:
        image = min((split / "DCM").glob("*/*.png"))
        return image, split / "outputs_json" / image.parent.name / f"{image.stem}.json"

    return find


@pytest.fixture(scope="session")
def config(whole: Path) -> Config:
    return from_mapping(
        {
            "run": {"name": "run"},
            "data": {"root": str(whole), "folds": 2, "workers": 0},
            "transform": {"size_px": 64},
            "model": UNET,
            "trainer": {"precision": "fp32", "epochs": 1},
        }
    )


@pytest.fixture(scope="session")
def weights(config: Config) -> Weights:
    """A network that has learned nothing, as a run would have kept it."""
    torch.manual_seed(0)
    task = TASKS[config.task]
    return Weights(build_model(config).state_dict(), task.classes, as_dict(config), 0, 0.0)


@pytest.fixture(scope="session")
def run_folder(config: Config, weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has ended."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text(dump(config), encoding="utf-8")
    save_weights(folder.best_weights, weights)
    return folder.path
