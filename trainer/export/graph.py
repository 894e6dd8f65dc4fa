"""From a network of torch to the graph of an ONNX file, with the probability as its first output."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import input_step_px
from models.outputs import prediction_of
from trainer.export.resampling import resampling_written
from trainer.trained import Trained
from transform.base import as_size
from utils.arrays import Size
from utils.errors import UserError

log = logging.getLogger(__name__)

OPSET = 17
INPUT, OUTPUT = "images", "probability"
TRACED_IMAGES = 2
"""Images with which the graph is found; with 1, an exporter may take the number for a constant."""
TRACED_PX = 256
"""Largest side of these if the graph is for any size; the proof compares the images' own size too."""
LARGEST_BYTES = 2**31 - 1
"""Of an ONNX file that holds its weights itself: the limit of protocol buffers."""


@dataclass(frozen=True)
class Graph:
    """A network as an ONNX file that does not describe itself yet."""

    content: bytes
    channels: int
    classes: int
    size_hw: Size
    """The size of the images that the network predicts."""
    output_hw: Size
    """The size of what it gives for these."""
    any_size: bool
    """Whether it takes images of other sizes too; if not, only those of `size_hw`."""
    step_px: int
    """The sides of images must be multiples of it."""


class Probability(nn.Module):
    """From images [B, channels, H, W] to the probability [B, C, H, W], the sigmoid of a network's prediction."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return prediction_of(self.network(images_BCHW)).sigmoid()


def refuse_unexportable(trained: Trained, weights: Path) -> None:
    """Raise `UserError` for a network that has no fixed graph, and for one that is too large for one file."""
    network = trained.predictor.network
    if getattr(network, "takes_any_size", False):
        finds = getattr(network, "finds", "objects")
        raise UserError(
            f"{weights}: '{trained.config.model.name}' cannot be exported, because what it computes depends on the "
            f"{finds} that it finds. Export a network that computes the same for every image, such as u2netp, or "
            "predict with inference.py."
        )
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if size > LARGEST_BYTES:
        raise UserError(
            f"{weights}: the network has {size / 2**30:.1f} GiB of weights, and an ONNX file holds at most 2 GiB. "
            "Export a network with a smaller encoder."
        )


def graphs_of(trained: Trained) -> Iterator[Graph]:
    """Yield the graphs of a network that can be made, the better first: for images of any size, and for its own alone.

    Raises `UserError` if neither can be made.
    """
    network, size_hw = trained.predictor.network, as_size(trained.config.transform.size_px)
    reasons = []
    choices = (False,) if getattr(network, "takes_one_size", False) else (True, False)
    for any_size in choices:
        log.info("%s: writing the graph%s", trained.config.model.name, "" if any_size else " for images of one size")
        traced_hw = (min(TRACED_PX, size_hw[0]), min(TRACED_PX, size_hw[1])) if any_size else size_hw
        try:
            content = onnx_of(network, trained.task.channels, traced_hw, any_size=any_size)
        except UnsupportedGraph as error:
            reasons.append(str(error).splitlines()[0][:200])
            continue
        yield Graph(
            content=content,
            channels=trained.task.channels,
            classes=len(trained.task.classes),
            size_hw=size_hw,
            output_hw=getattr(network, "output_hw", size_hw),
            any_size=any_size,
            step_px=input_step_px(network),
        )
    if len(reasons) == len(choices):
        raise UserError(
            f"'{trained.config.model.name}' cannot be exported to ONNX ({reasons[-1]}). Train another network, or "
            "predict with inference.py."
        )


class UnsupportedGraph(Exception):
    """A network does something that the exporter, or the format, does not know."""


def onnx_of(network: nn.Module, channels: int, size_hw: Size, *, any_size: bool) -> bytes:
    """Return a network as an ONNX file for any number of images. Raises `UnsupportedGraph`.

    torch's exporter by tracing is used, not the newer one: both give the same numbers, it takes a twentieth of the
    time, and it writes opset 17 itself instead of converting from 18.
    """
    axes = {0: "N", 2: "H", 3: "W"} if any_size else {0: "N"}
    device = next(network.parameters()).device
    images = torch.zeros(TRACED_IMAGES, channels, *size_hw, device=device)
    buffer: Any = io.BytesIO()  # torch's exporter to a stream is missing in its types
    with quiet_exporter(), nullcontext() if any_size else resampling_written(OPSET):
        try:
            torch.onnx.export(
                Probability(network).eval(),
                (images,),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: axes, OUTPUT: axes},
            )
        except (RuntimeError, ValueError, TypeError) as error:
            raise UnsupportedGraph(str(error).strip() or type(error).__name__) from error
    return bytes(buffer.getvalue())


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Leave out the exporter's warnings, that it is old and that a size was traced, and the graphs that it prints."""
    log_graph: Any = torch._C._jit_onnx_log
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._C._jit_onnx_log = lambda *_: None
        try:
            with torch.no_grad():
                yield
        finally:
            torch._C._jit_onnx_log = log_graph
