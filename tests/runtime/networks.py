"""Small networks with random weights as ONNX files that describe themselves, for tests of prediction without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data.tasks import TASKS
from runtime.model.metadata import Metadata
from tests.onnx_files import onnx_bytes
from utils.onnx_file import with_properties

SIDE_PX = 64
RGB: dict[str, Any] = {"size_px": SIDE_PX, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
GREY: dict[str, Any] = {"size_px": SIDE_PX, "mean": 0.122, "std": 0.168}


class Small(nn.Module):
    """Two convolutions; its logits differ from pixel to pixel."""

    def __init__(self, channels: int, classes: int, *, ends_in_sigmoid: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(channels, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, classes, 1))
        self.ends_in_sigmoid, self.scale = ends_in_sigmoid, scale

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(images) * 8 * self.scale
        return logits.sigmoid() if self.ends_in_sigmoid else logits


def small_for(task: str, **options: Any) -> Small:
    """Make a network for the channels and classes of a task."""
    return Small(TASKS[task].channels, len(TASKS[task].classes), **options).eval()


def write_described(path: Path, network: Small, task: str, /, **changes: Any) -> Path:
    """Write a network as an ONNX file of ours."""
    output = "probability" if network.ends_in_sigmoid else "logits"
    transform = RGB if TASKS[task].channels == 3 else GREY
    usual = {"task": task, "classes": TASKS[task].classes, "transform": transform, "output": output}
    about = Metadata(**{**usual, **changes})
    content = onnx_bytes(network, channels=TASKS[task].channels, side_px=SIDE_PX)
    path.write_bytes(with_properties(content, about.as_properties()))
    return path
