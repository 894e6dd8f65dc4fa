"""Networks to export, made once for all tests: small, with weights that were not trained but spread their logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

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


def write_run(config: Config, change: Callable[[nn.Module], None] = lambda _: None) -> RunFolder:
    """Write what a finished run leaves of a network that has learned nothing."""
    seed_everything(1)
    network, task = build_model(config), TASKS[config.task]
    # With weights as they are drawn all logits would be near 0, and masks of specks would say little.
    with torch.no_grad():
        last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
        last.weight *= 20
    change(network)
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
def pills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on cut-outs, whose network takes any size."""
    folder = tmp_path_factory.mktemp("pills")
    write_split(folder / "set" / "train", PillSet(images=6, size_px=64, seed=1), "images", "masks")
    values = {
        "task": "foreground",
        "run": {"name": "pills", "folder": str(folder / "runs")},
        "data": {"root": str(folder / "set"), "folds": 2},
        "transform": {"size_px": 64, "mean": [0.485, 0.456, 0.406], "std": 0.25, "divide_by_maximum": True},
        "model": "u2netp",
        "predict": {"tta": {"hflip": True}},
    }
    return write_run(from_mapping(values)).path


@pytest.fixture(scope="session")
def exported_bones(bones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(Request(bones, tmp_path_factory.mktemp("bones") / "bones.onnx"))


@pytest.fixture(scope="session")
def exported_pills(pills: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(Request(pills, tmp_path_factory.mktemp("pills") / "pills.onnx"))
