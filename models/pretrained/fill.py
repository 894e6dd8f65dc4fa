"""Fills a whole network with the tensors of a file: all of them, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias, TypeVar

from torch import Tensor, nn

from models.pretrained.files import Tensors, as_grey, check_file, read_tensors
from models.pretrained.folding import ImageNetwork, unfolded
from utils.errors import UserError
from utils.files import expand
from utils.onnx_file import OnnxNetwork, read_onnx

Network = TypeVar("Network", bound=nn.Module)

Stored: TypeAlias = Tensors | OnnxNetwork
"""What a file holds, under the names that it gives its tensors."""

COUNTS = "num_batches_tracked"
"""Of batch normalisations; a file may lack them, since nothing uses them."""


def fill_network(network: Network, weights: str | None, name: str, key: str = "weights") -> Network:
    """Fill `network`, a `name`, with the tensors of the file `weights`, which `key` of a config names; null: none.

    The file may be safetensors, what torch saved, or ONNX. Raises `UserError` unless it holds exactly the network's
    tensors. Weights for colour images fit a network for grey ones, as in `models.weights`.
    """
    if weights is None:
        return network
    path = whole_file(weights, key)
    source = f"{key}: {path}"
    tensors = tensors_for(network, read_whole(path, key), source, name)
    check_finite(tensors, source)
    network.load_state_dict(tensors, strict=False)
    return network


def tensors_for(network: nn.Module, stored: Stored, source: str, name: str) -> Tensors:
    """Return the tensors of a file under the names of `network`, a `name`, which may be on the device meta.

    Raises `UserError`, with `source` before it, unless their names and shapes are exactly the network's.
    """
    wanted = network.state_dict()
    tensors = _named(stored, network, source)
    _check_names(tensors, wanted, source, name)
    fitted = {tensor: as_grey(value, wanted[tensor]) for tensor, value in tensors.items()}
    _check_shapes(fitted, wanted, source, name)
    return fitted


def whole_file(weights: str, key: str) -> Path:
    """Return the path that `key` of a config names. Raises `UserError` if there is no such file."""
    path = Path(expand(weights))
    check_file(path, key, "give an existing file, such as `python -m models.fetch` writes, or null")
    return path


def check_finite(tensors: Tensors, source: str) -> None:
    """Raise `UserError`, with `source` before it, if a tensor holds values that are no numbers."""
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(f"{source} has values at '{key}' that are no numbers; it needs a file that is not damaged.")


def read_whole(path: Path, key: str) -> Stored:
    """Read safetensors, what torch saved, or ONNX. Raises `UserError` for another file; `key` begins its sentence."""
    if path.suffix == ".onnx":
        return read_onnx(path, key)
    return {tensor.removeprefix("module."): value for tensor, value in read_tensors(path, key).items()}


def _named(stored: Stored, network: nn.Module, source: str) -> Tensors:
    if not isinstance(stored, OnnxNetwork):
        return stored
    if not isinstance(network, ImageNetwork):
        raise UserError(
            f"{source} is an ONNX file, whose tensors have no names of this network; give a .safetensors file."
        )
    try:
        return unfolded(stored, network)
    except UserError as error:
        raise UserError(f"{source} {error}; it needs a file of this network.") from error


def _check_names(tensors: Tensors, wanted: dict[str, Tensor], source: str, name: str) -> None:
    missing = [key for key in wanted if key not in tensors and not key.endswith(COUNTS)]
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


def _check_shapes(tensors: Tensors, wanted: dict[str, Tensor], source: str, name: str) -> None:
    for key, tensor in tensors.items():
        if tensor.shape != wanted[key].shape:
            raise UserError(
                f"{source} has the shape {list(tensor.shape)} at '{key}', but {name} needs {list(wanted[key].shape)}; "
                "it needs a file of this network, with as many classes and channels."
            )
