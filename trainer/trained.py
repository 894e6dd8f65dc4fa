"""A trained network rebuilt from its weights file alone, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from configs.loading.load import from_mapping
from configs.schema import Config
from data.task import Task
from data.tasks import TASKS
from trainer.build import build_model, build_predictor, without_pretraining
from trainer.input_sizes import check_predicted_sizes
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights, load_weights
from utils.errors import UserError


@dataclass(frozen=True)
class Description:
    """What a weights file says of its network, before that is built."""

    task: Task
    config: Config
    weights: Weights


@dataclass(frozen=True)
class Trained(Description):
    """A trained network, ready to predict, with what its weights file says of it."""

    predictor: Predictor


def load_trained(path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Trained:
    """Rebuild a network from a weights file alone; `overrides` (`key=value`) change what it was trained with.

    Raises `UserError` if file and network do not fit, or an override cannot be.
    """
    return rebuild(read_description(path, device, overrides), path, device, overrides)


def read_description(path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Description:
    """Read a weights file. Raises `UserError` if it is damaged, of other classes, or an override cannot be."""
    weights = load_weights(path)
    config = from_mapping(dict(weights.config), source=str(path), overrides=overrides)
    if device.type == "cpu" and not any(override.startswith("trainer.precision") for override in overrides):
        config = in_full_precision(config)
    task = TASKS[config.task]
    if weights.classes != task.classes:
        raise UserError(
            f"{path}: was trained for other classes than task '{config.task}' has now. Name another run, or use the "
            "version of Carpus that trained it."
        )
    return Description(task, config, weights)


def rebuild(description: Description, path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Trained:
    """Build the network that the file `path` describes. Raises `UserError` if its tensors do not fit."""
    task, config, weights = description.task, description.config, description.weights
    model = build_model(without_pretraining(config)).to(device)
    try:
        model.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        raise UserError(
            f"{path}: its tensors do not fit the network that its configuration describes. Name the best.safetensors "
            "of another run, or use the version of Carpus that trained it."
        ) from error
    if overrides:
        check_predicted_sizes(config, model, task)
    return Trained(task, config, weights, build_predictor(config, model.eval(), device))


def in_full_precision(config: Config) -> Config:
    """The same experiment in fp32: a processor emulates fp16 and bf16, many times slower, and memory is no reason."""
    return config.model_copy(update={"trainer": config.trainer.model_copy(update={"precision": "fp32"})})
