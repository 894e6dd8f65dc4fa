"""Networks of two layers, where a test is not about what a network does: built in a millisecond."""

from __future__ import annotations

from torch import nn

from configs.schema import Config
from data.tasks import TASKS


def tiny_network(config: Config) -> nn.Module:
    """In the place of `trainer.build.build_model`; another one for each of two architectures."""
    classes = len(TASKS[config.task].classes)
    side = {"unet": 5, "fpn": 3}[config.model.name]
    return nn.Sequential(
        nn.Conv2d(1, 8, side, padding=side // 2), nn.Tanh(), nn.Conv2d(8, classes, side, padding=side // 2)
    )
