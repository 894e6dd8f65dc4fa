"""Recognise a network that others have trained and published, by the names and shapes of the tensors in its file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models import MODELS
from models.pretrained.files import Tensors
from models.pretrained.fill import COUNTS, Stored, check_finite, read_whole, tensors_for
from models.pretrained.folding import ImageNetwork
from utils.errors import UserError
from utils.onnx_file import OnnxNetwork

RECOGNISED = ("u2netp", "u2net", "isnet", "maskrcnn")
"""Networks, by their names in `MODELS`, that are published trained to cut out what a photograph shows."""
CLASSES, CHANNELS = 1, 3
"""Of each of them."""
KEY = "weights"
"""What begins the sentences about a file."""


def recognise(path: Path) -> tuple[str, Tensors]:
    """Return the name of the published network that a file holds, and all of its tensors.

    The file may be safetensors, what torch saved, or ONNX. Raises `UserError` if it cannot be read, if it holds none of
    these networks, or has values that are no numbers.
    """
    stored, nearest = read_whole(path, KEY), ""
    for name in RECOGNISED:
        with torch.device("meta"):  # names and shapes alone: a network of 44 million numbers takes no time
            network = MODELS[name](CLASSES, CHANNELS)
        assert isinstance(network, ImageNetwork)
        try:
            found = tensors_for(network, stored, "it", name)
        except UserError as error:
            nearest = nearest or _what_differs(stored, network, error)
            continue
        check_finite(found, f"{KEY}: {path}")
        return name, {**counts_of(network.state_dict()), **found}
    if path.suffix == ".onnx":
        raise UserError(
            f"{path}: cannot be converted to torch, which --gallery, predict.average, predict.tta and predict.windows "
            f"need: it holds no whole {' or '.join(RECOGNISED)} for photographs with one class. Leave these out, or "
            "name the run's best.safetensors."
        )
    raise UserError(
        f"{path}: holds neither weights of a run nor a whole {' or '.join(RECOGNISED)} for photographs with one "
        f"class{nearest}. "
        "Name a run's best.safetensors, or a file such as `python -m models.fetch` writes."
    )


def _what_differs(stored: Stored, network: ImageNetwork, error: UserError) -> str:
    """Say why a file is not this network, if it has most of its names; else nothing."""
    wanted = network.state_dict().keys()
    if isinstance(stored, OnnxNetwork) or 2 * len(wanted & stored.keys()) < len(wanted):
        return ""
    return f" ({str(error).partition(';')[0]})"


def counts_of(tensors: Tensors) -> dict[str, Tensor]:
    """The counts of batches of all batch normalisations, 0 each: files may lack them."""
    return {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in tensors.items() if COUNTS in name}
