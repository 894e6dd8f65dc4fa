"""Fills a whole network with the tensors of a file: all of them, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import Tensor

from models.pretrained.files import Tensors, as_grey, check_file, read_tensors
from models.pretrained.folding import ImageNetwork, unfolded
from models.pretrained.onnx_file import read_onnx
from utils.errors import UserError
from utils.files import expand

Network = TypeVar("Network", bound=ImageNetwork)


def fill_network(network: Network, weights: str | None, name: str, key: str = "weights") -> Network:
    """Fill `network`, a `name`, with the tensors of the file `weights`, which `key` of a config names; null: none.

    The file may be safetensors, what torch saved, or ONNX. Raises `UserError` unless it holds exactly the network's
    tensors. Weights for colour images fit a network for grey ones, as in `models.weights`.
    """
    if weights is None:
        return network
    path = whole_file(weights, key)
    tensors = _read(path, network, key)
    wanted = network.state_dict()
    _check_names(tensors, wanted, f"{key}: {path}", name)
    fitted = {tensor: as_grey(value, wanted[tensor]) for tensor, value in tensors.items()}
    _check_numbers(fitted, wanted, f"{key}: {path}", name)
    network.load_state_dict(fitted, strict=False)  # a file may lack the counts of batches, which nothing uses
    return network


def whole_file(weights: str, key: str) -> Path:
    """Return the path that `key` of a config names. Raises `UserError` if there is no such file."""
    path = Path(expand(weights))
    check_file(path, key, "give an existing file, such as `python -m models.fetch` writes, or null")
    return path


def _read(path: Path, network: ImageNetwork, key: str) -> Tensors:
    if path.suffix != ".onnx":
        return {tensor.removeprefix("module."): value for tensor, value in read_tensors(path, key).items()}
    stored = read_onnx(path, key)
    try:
        return unfolded(stored, network)
    except UserError as error:
        raise UserError(f"{key}: {path} {error}; it needs a file of this network.") from error


def _check_names(tensors: Tensors, wanted: dict[str, Tensor], source: str, name: str) -> None:
    missing = [key for key in wanted if key not in tensors and not key.endswith("num_batches_tracked")]
    if missing:
        raise UserError(
            f"{source} lacks {len(missing)} of the {len(wanted)} tensors of {name}, '{missing[0]}' for one; it needs a "
            "file of this network."
        )
    foreign = [key for key in tensors if key not in wanted]
    if foreign:
        raise UserError(
            f"{source} holds {len(foreign)} tensors that {name} does not have, '{foreign[0]}' for one; it needs a file "
            "of this network."
        )


def _check_numbers(tensors: Tensors, wanted: dict[str, Tensor], source: str, name: str) -> None:
    for key, tensor in tensors.items():
        if tensor.shape != wanted[key].shape:
            raise UserError(
                f"{source} has the shape {list(tensor.shape)} at '{key}', but {name} needs {list(wanted[key].shape)}; "
                "it needs a file of this network, with as many classes and channels."
            )
        if not tensor.isfinite().all():
            raise UserError(f"{source} has values at '{key}' that are no numbers; it needs a file that is not damaged.")
