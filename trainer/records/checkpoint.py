"""Files of a run's `checkpoints/`: full states to continue from, and weights to predict with.

A state (`state-<optimizer step>.pt`) holds all that training needs to continue; weights (`best.safetensors`) hold
one network with its classes and configuration in their metadata, and need no other file. Neither can run code when
it is read: states are loaded with `weights_only`, weights are safetensors. Both carry checksums, and one changed bit is
enough for a file to be refused: torch itself reads past it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.pretrained.about import metadata_of
from models.pretrained.files import TORCH_SUFFIXES
from trainer.records.folder import step_of
from utils.archive import check_archive
from utils.errors import UserError
from utils.files import paths_in, replacing

log = logging.getLogger(__name__)

FAMILY = "carpus-weights-"
FORMAT = f"{FAMILY}1"
DESCRIBED = {"classes", "config", "epoch", "step", "digest", "images", "provenance"}
"""Keys of a description besides the score."""


@dataclass(frozen=True)
class Weights:
    """A network's tensors by name, with all that is needed to rebuild it."""

    tensors: Mapping[str, Tensor]
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    epoch: int
    score: float | None
    """None if these weights were not scored, as those kept between two evaluations and those of other programs."""
    metric: str = "score"
    """The name of the metric that the score is of; in the file it is the name of the score."""
    images: Mapping[str, float] | None = None
    """How the images to train on look, `data.check.looks.Usual.as_plain`; None if nobody knows."""
    provenance: Mapping[str, Any] | None = None
    """The sources of images and the starting weights, with licences, see `trainer.provenance`; None if nobody knows."""
    step: int | None = None
    """The optimizer steps that they have learnt from; None if only epochs were counted."""


def save_weights(path: Path, weights: Weights) -> None:
    """Write `weights` to one self-sufficient safetensors file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.tensors.items()}
    about: dict[str, Any] = {
        "classes": weights.classes,
        "config": weights.config,
        "epoch": weights.epoch,
        weights.metric: weights.score,
    }
    if weights.images is not None:
        about["images"] = dict(weights.images)
    if weights.provenance is not None:
        about["provenance"] = dict(weights.provenance)
    if weights.step is not None:
        about["step"] = weights.step
    about["digest"] = digest_of(tensors, about)
    with replacing(path) as file:
        file.write(save(tensors, {"format": FORMAT, "carpus": json.dumps(about)}))


def is_of_others(path: Path) -> bool:
    """Whether a file holds tensors that no run of Carpus has saved as weights; of one that is damaged, False."""
    if path.suffix in (*TORCH_SUFFIXES, ".onnx"):
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return not (file.metadata() or {}).get("format", "").startswith(FAMILY)
    except (OSError, SafetensorError):
        return False


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
    written = metadata.get("format", "")
    if written != FORMAT and written.startswith(FAMILY):
        raise UserError(
            f"{path}: was written by another version of Carpus ({written}, this one reads {FORMAT}). Use that "
            "version, or update this one."
        )
    if written != FORMAT:
        raise UserError(
            f"{path}: holds no Carpus weights (its metadata lack {FORMAT!r}). Name a run's best.safetensors."
        )
    try:
        about = json.loads(metadata["carpus"])
        config, epoch = dict(about["config"]), int(about["epoch"])
        (metric,) = about.keys() - DESCRIBED
        score = None if about[metric] is None else float(about[metric])
        images = about["images"] if isinstance(about.get("images"), dict) else None
        provenance = about["provenance"] if isinstance(about.get("provenance"), dict) else None
        step = None if about.get("step") is None else int(about["step"])
        weights = Weights(tensors, tuple(about["classes"]), config, epoch, score, metric, images, provenance, step)
        digest = about.pop("digest", None)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: its description is damaged. Name the best.safetensors of another run.") from error
    if digest not in (None, digest_of(tensors, about)):  # files of version 0.1 have none
        raise UserError(f"{path}: its contents are damaged. Copy the file again, or name that of another run.")
    return weights


def provenance_in(path: Path) -> Any:
    """Return what a weights file says of its sources, without reading its tensors; None for any other file."""
    try:
        return json.loads(metadata_of(path)["carpus"]).get("provenance")
    except (KeyError, ValueError, AttributeError, RecursionError):
        return None


def digest_of(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 over a description, and names, shapes, types and bytes of tensors on the CPU in the order of names."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class DamagedState(UserError):
    """A state that must not be used."""


class StateFiles:
    """The rotating full states in one folder; the newest `keep` stay."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after optimizer step `step` and delete what is older than the newest `keep`.

        Raises `UserError` if the file cannot be written; the states before it stay.
        """
        path = self.folder / f"state-{step:08d}.pt"
        with replacing(path) as file:
            _write_state(state, file)
        for old in self.paths()[self.keep :]:
            old.unlink()
        return path

    def load_newest(self, map_location: torch.device | str = "cpu") -> tuple[Path, dict[str, Any]] | None:
        """Read the newest complete state; return its file and content, None if there is no state.

        Damaged states are skipped with a warning. Raises `UserError` if all are damaged.
        """
        damaged = []
        for path in self.paths():
            try:
                return path, load_state(path, map_location)
            except DamagedState as error:
                log.warning("%s", error)
                damaged.append(path.name)
        if damaged:
            raise UserError(
                f"{self.folder}: no state here can be read ({', '.join(damaged)}). Put a copy of one back, or start "
                "over with run.if_exists=replace, which keeps this run as <name>.replaced."
            )
        return None

    def forget_newer(self, path: Path) -> None:
        """Rename the states newer than `path`, which were found damaged, so that none is taken for the newest."""
        for newer in self.paths():
            if newer == path:
                return
            newer.rename(newer.with_suffix(".damaged"))

    def paths(self) -> Sequence[Path]:
        """All states, newest first."""
        return sorted(paths_in(self.folder, "state-*.pt"), key=step_of, reverse=True)


def load_state(path: Path, map_location: torch.device | str = "cpu") -> dict[str, Any]:
    """Read one full state, every byte checked, without running any code that it may carry."""
    try:
        check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused anyway
            state = torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Mend that, and give the same command.") from error
    except Exception as error:  # damaged bytes can raise anything in there
        raise DamagedState(f"{path}: is damaged or not a training state, so it is not used.") from error
    if not isinstance(state, dict):
        raise DamagedState(f"{path}: is not a training state, so it is not used.")
    return state


def _write_state(state: Mapping[str, Any], file: IO[bytes]) -> None:
    """Call `torch.save`; raise `OSError` for a full disk, which torch hides behind an error of its own."""
    try:
        torch.save(dict(state), file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
