"""A trained network rebuilt from its weights file alone, ready to predict.

The file is one of a run, which describes itself, or one of a network that others have published. That is recognised by
its tensors, and predicts as its authors do: `configs/published/` says how they give it images.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

import configs
from configs.loading.load import as_dict, from_mapping, load_as
from configs.schema import Config
from data.task import Task
from models.maskrcnn import Detector
from models.pretrained.files import check_file
from models.pretrained.fill import fill_network
from models.pretrained.recognise import recognise
from runtime.settings import with_pictures
from trainer.build import build_model, build_predictor, without_pretraining
from trainer.input_sizes import check_predicted_sizes
from trainer.prediction.choice import ChoosingPredictor
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights, is_of_others, load_weights
from utils.errors import UserError
from utils.files import expand

log = logging.getLogger(__name__)

PUBLISHED = Path(configs.__file__).parent / "published"
"""A recipe for each network that `models.pretrained.recognise` knows."""


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
    detector: Trained | None = None
    """What predicts some images in its place, if so configured."""


def load_trained(path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Trained:
    """Rebuild a network from a weights file alone; `overrides` (`key=value`) change what it was trained with.

    Raises `UserError` if file and network do not fit, or an override cannot be.
    """
    return rebuild(read_description(path, device, overrides), path, device, overrides)


def read_description(path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Description:
    """Read a weights file. Raises `UserError` if it is damaged, of other classes, or an override cannot be."""
    weights = weights_of_others(path) if is_of_others(path) else load_weights(path)
    config = from_mapping(dict(weights.config), source=str(path), overrides=overrides)
    if device.type == "cpu" and not any(override.startswith("trainer.precision") for override in overrides):
        config = in_full_precision(config)
    task = with_pictures(config.chosen_task, config.predict)
    if weights.classes != task.classes:
        raise UserError(
            f"{path}: was trained for other classes than task '{config.task}' has now. Name another run, or use the "
            "version of Carpus that trained it."
        )
    return Description(task, config, weights)


def weights_of_others(path: Path) -> Weights:
    """Read a network that others have published, with the config of its recipe. Raises `UserError` for other files."""
    name, tensors = recognise(path)
    config = load_as(Config, PUBLISHED / f"{name}.yaml")
    log.info("%s: %s, given images as its authors do (%s)", path, name, PUBLISHED / f"{name}.yaml")
    task = config.chosen_task
    return Weights(tensors, task.classes, as_dict(config), 0, None, task.metric.name)


def start_weights_of(config: Config) -> str | None:
    """Return the file of a whole network that a run of this config begins with; None if there is none."""
    weights: str | None = getattr(config.model.params, "weights", None)
    return weights


def load_start(config: Config, device: torch.device) -> Trained:
    """Build the network that a run of this config begins with, from `model.weights`; it predicts as the run's own do.

    Raises `UserError` if the file does not hold such a network.
    """
    if device.type == "cpu":
        config = in_full_precision(config)
    task, model = config.chosen_task, build_model(without_pretraining(config))
    model = fill_network(model, start_weights_of(config), config.model.name, "model.weights").to(device).eval()
    weights = Weights(model.state_dict(), task.classes, as_dict(config), 0, None, task.metric.name)
    return Trained(task, config, weights, build_predictor(config, model, device))


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
    predictor = replace(build_predictor(config, model.eval(), device), read_image=task.read_image)
    return with_detector(Trained(task, config, weights, predictor))


def with_detector(trained: Trained) -> Trained:
    """Return the network with the detector that its config names, if any. Raises `UserError` if it is not one."""
    if trained.config.predict.detector is None:
        return trained
    predictor, path = trained.predictor, Path(expand(trained.config.predict.detector))
    check_file(path, "predict.detector", "name the weights file of a detector")
    detector = load_trained(path, predictor.device)
    if not isinstance(detector.predictor.network, Detector) or detector.task.name != trained.task.name:
        raise UserError(
            f"predict.detector: {path} is no network that finds single objects for task '{trained.task.name}'. Name "
            "one that does, such as torchvision's Mask R-CNN for cut-outs, or write predict.model=own."
        )
    values = {field.name: getattr(predictor, field.name) for field in fields(predictor)}
    choosing = ChoosingPredictor(**values, detector=detector.predictor)
    return replace(trained, predictor=choosing, detector=detector)


def in_full_precision(config: Config) -> Config:
    """Return the same experiment in fp32: a processor emulates fp16 and bf16, many times slower, and memory is no
    reason. A format that the config asks for by its name is mentioned in the log."""
    asked = config.trainer.precision
    if asked not in ("auto", "fp32"):
        log.info("trainer.precision=%s: a processor only emulates it, so the network predicts in fp32 here", asked)
    return config.model_copy(update={"trainer": config.trainer.model_copy(update={"precision": "fp32"})})
