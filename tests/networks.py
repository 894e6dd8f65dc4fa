"""Small networks, for tests that are not about what a network does."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from configs.schema import Config
from data.tasks import TASKS

UNET: dict[str, Any] = {
    "name": "unet",
    "encoder": "tu-mobilenetv3_small_050",
    "encoder_weights": None,
    "decoder": {"decoder_channels": [32, 24, 16, 16, 8]},
}
"""The block `model` of a config: a real U-Net, whose narrow decoder trains in half the time of the usual one. Its state
takes 5 MB instead of 27."""


def tiny_network(config: Config) -> nn.Module:
    """Return two layers, in the place of `trainer.build.build_model`; others for each of two architectures."""
    classes = len(TASKS[config.task].classes)
    side = {"unet": 5, "fpn": 3}[config.model.name]
    return nn.Sequential(
        nn.Conv2d(1, 8, side, padding=side // 2), nn.Tanh(), nn.Conv2d(8, classes, side, padding=side // 2)
    )


class ThreeOutputs(nn.Module):
    """Logits of the input's size, then two side outputs, of half and of a quarter of its size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.decoder = nn.Conv2d(8, classes, 1)
        self.side_heads = nn.ModuleList(nn.Conv2d(8, classes, 1) for _ in range(2))

    def forward(self, images_B1HW: Tensor) -> list[Tensor]:
        features = self.encoder(images_B1HW)
        sides = [head(F.avg_pool2d(features, 2**depth)) for depth, head in enumerate(self.side_heads, start=1)]
        return [self.decoder(features), *sides]


class FirstOutput(nn.Module):
    """The prediction of a network of several outputs alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_B1HW: Tensor) -> Tensor:
        first: Tensor = self.network(images_B1HW)[0]
        return first
