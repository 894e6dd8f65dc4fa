"""Networks to export, made once for all tests: small, with weights that were not trained but spread their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from configs.loading.load import as_dict, dump, from_mapping
from configs.schema import Config
from data.cutout.pills.dataset import PillSet, write_split
from data.tasks import TASKS
from trainer.build import build_model
from trainer.export.export import Request, export_network
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder
from utils.seed import seed_everything

PROVENANCE: dict[str, Any] = {
    "data": [
        {"name": "pills", "licence": "CC0-1.0", "attribution": "the painter", "images": 9},
        {"name": "glass", "licence": "CC BY 4.0", "attribution": "nobody", "reason": "labels are too coarse"},
    ],
    "start": [{"name": "u2netp.safetensors", "licence": "Apache-2.0", "attribution": "the authors", "source": "a | b"}],
}


class Smooth(nn.Module):
    """Three layers in the place of a trained network: what is brighter than usual belongs to the object.

    All weights are positive, so each layer takes means, and the edges of masks are smooth.
    """

    def __init__(self, channels: int = 3, classes: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AvgPool2d(15, 1, 7), nn.Conv2d(channels, 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)
        )
        self.head = nn.Conv2d(64, classes, 1)
        for layer in (self.body[1], self.body[3], self.head):
            assert isinstance(layer, nn.Conv2d)
            nn.init.uniform_(layer.weight, 0, 2 / layer.weight[0].numel())
            nn.init.constant_(layer.bias, 0)  # type: ignore[arg-type]
        # Normalised values are above -3, and `write_run` makes the weights of the head 20 times as large.
        nn.init.constant_(self.body[1].bias, 3)  # type: ignore[arg-type]
        nn.init.constant_(self.head.bias, -60)  # type: ignore[arg-type]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images_BCHW).relu())
        return logits


def write_run(config: Config, build: Callable[[Config], nn.Module] = build_model) -> RunFolder:
    """Write what a finished run leaves of a network that has learned nothing."""
    seed_everything(1)
    network, task = build(config), TASKS[config.task]
    # With weights as they are drawn all logits would be near 0, and masks of specks would say little.
    with torch.no_grad():
        last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
        last.weight *= 20
    folder = RunFolder(config.folder)
    weights = Weights(
        network.state_dict(), task.classes, as_dict(config), 4, 0.25, task.metric.name, None, PROVENANCE, step=120
    )
    save_weights(folder.best_weights, weights)
    folder.config.write_text(dump(config))
    folder.finished.write_text("{}")
    return folder


@pytest.fixture(scope="session")
def bones(make_config_in: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on hand bones."""
    return write_run(make_config_in(tmp_path_factory.mktemp("bones"))).path


@pytest.fixture(scope="session")
def pill_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six photographs of pills."""
    folder = tmp_path_factory.mktemp("set")
    write_split(folder / "train", PillSet(images=6, size_px=64, seed=1), "images", "masks")
    return folder


def config_of_pills(data: Path, folder: Path) -> Config:
    """A run on cut-outs."""
    values = {
        "task": "foreground",
        "run": {"name": "pills", "folder": str(folder)},
        "data": {"root": str(data), "folds": 2},
        "transform": {"size_px": 64, "mean": [0.485, 0.456, 0.406], "std": 0.25, "divide_by_maximum": True},
        "model": "u2netp",
        "predict": {"tta": {"hflip": True}},
    }
    return from_mapping(values)


@pytest.fixture(scope="session")
def pills(pill_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on cut-outs, whose network takes any size."""
    return write_run(config_of_pills(pill_set, tmp_path_factory.mktemp("pills"))).path


@pytest.fixture(scope="session")
def small(pill_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose network is `Smooth`; `small_networks` lets it be loaded."""
    return write_run(config_of_pills(pill_set, tmp_path_factory.mktemp("small")), lambda _: Smooth()).path


@pytest.fixture(scope="module")
def small_networks() -> Iterator[None]:
    """Let every network that is loaded be `Smooth`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.trained.build_model", lambda _: Smooth())
        yield


@pytest.fixture(scope="session")
def exported_bones(bones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(Request(bones, tmp_path_factory.mktemp("bones") / "bones.onnx"))


@pytest.fixture(scope="session")
def exported_pills(pills: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(Request(pills, tmp_path_factory.mktemp("pills") / "pills.onnx"))
