"""Files of a run's `checkpoints/`: full states to continue from, and weights to predict with.

A state (`state-<optimizer step>.pt`) holds everything that training needs to go on; weights (`best.safetensors`) hold
one network with its classes and configuration in their metadata, and need no other file. Neither can run code when
it is read: states are loaded with `weights_only`, weights are safetensors.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from utils.errors import UserError
from utils.files import replacing

FORMAT = "carpus-weights-1"


@dataclass(frozen=True)
class Weights:
    """A network's tensors by name, with all that is needed to rebuild it."""

    tensors: Mapping[str, Tensor]
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    epoch: int
    dice: float


def save_weights(path: Path, weights: Weights) -> None:
    """Write `weights` to one self-sufficient safetensors file."""
    about = {"classes": weights.classes, "config": weights.config, "epoch": weights.epoch, "dice": weights.dice}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.tensors.items()}
    with replacing(path) as file:
        file.write(save(tensors, {"format": FORMAT, "carpus": json.dumps(about)}))


def load_weights(path: Path) -> Weights:
    """Read what `save_weights` wrote. Raises `UserError` for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: is not a readable safetensors file ({error}). Name a run or its best.safetensors."
        ) from error
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path}: holds no Carpus weights (its metadata lack {FORMAT!r}). Name a run's best.safetensors."
        )
    try:
        about = json.loads(metadata["carpus"])
        return Weights(tensors, tuple(about["classes"]), about["config"], about["epoch"], about["dice"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its description is damaged. Name the best.safetensors of another run.") from error


class StateFiles:
    """The rotating full states in one folder; the newest `keep` stay."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after optimizer step `step` and delete what is older than the newest `keep`."""
        path = self.folder / f"state-{step:08d}.pt"
        with replacing(path) as file:
            torch.save(dict(state), file)
        for old in self.paths()[self.keep :]:
            old.unlink()
        return path

    def load_newest(self, map_location: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The newest state, or None where there is none. Raises `UserError` where the file is not a state."""
        for path in self.paths():
            return load_state(path, map_location)
        return None

    def paths(self) -> Sequence[Path]:
        """All states, newest first."""
        return sorted(self.folder.glob("state-*.pt"), reverse=True)


def load_state(path: Path, map_location: torch.device | str = "cpu") -> dict[str, Any]:
    """Read one full state without running any code that it may carry."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused anyway
            state = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # damaged bytes can raise anything in there
        raise UserError(
            f"{path}: is damaged or not a training state. Delete it to continue from the one before."
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: is not a training state. Delete it to continue from the one before.")
    return state
