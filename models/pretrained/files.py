"""Files of tensors: safetensors, and what torch saved, opened without running any code that they may carry."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from utils.archive import check_archive
from utils.errors import UserError

TORCH_SUFFIXES = (".pth", ".pt", ".bin")

Tensors = Mapping[str, Tensor]


def check_file(path: Path, key: str, way_out: str) -> None:
    """Raise `UserError` if the file that `key` of a config names is not there; `way_out` ends the sentence."""
    if not os.path.isfile(path):  # Path.is_file raises an error for a name that is too long
        kind = "is a folder" if os.path.isdir(path) else "is not there"
        raise UserError(f"{key}: {path} {kind}; {way_out}.")


def read_tensors(path: Path, key: str) -> Tensors:
    """Read the tensors of a file by name. Raises `UserError` if it cannot be read as such."""
    try:
        stored = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except Exception as error:
        raise UserError(
            f"{key}: {path} cannot be read as tensors ({type(error).__name__}); whole pickled models are not "
            "opened, since they may hold any code: save its state_dict, best as safetensors."
        ) from error
    return {name: value for name, value in stored.items() if isinstance(name, str) and isinstance(value, Tensor)}


def as_grey(tensor: Tensor, wanted: Tensor) -> Tensor:
    """Add up kernels for three channels if the network has one; other tensors stay."""
    colour = tensor.ndim == 4 and wanted.ndim == 4 and tensor.shape[1] == 3 and wanted.shape[1] == 1
    return tensor.sum(1, keepdim=True) if colour else tensor


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(path)
    return tensors


def _read_torch(path: Path) -> dict[str, Any]:
    """Return the tensors themselves, or those that a training script saved beside its optimizer."""
    if zipfile.is_zipfile(path):  # older files are none
        check_archive(path)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(stored.get(key), dict):
            return dict(stored[key])
    return dict(stored)
