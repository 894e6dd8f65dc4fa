"""U-2-Net and its small version (arXiv:2005.09007): a U-Net whose stages are U-Nets themselves.

In training it returns the fused logits and those of six depths, for deep supervision; else the fused logits alone.
"""

# Shapes: B images, C classes, H/W pixels of the input, K channels of a map, h/w its pixels.
from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from models.pretrained.fill import fill_network
from models.pretrained.folding import ImageNetwork
from models.rsu import Rsu, halve, join, resize

Widths: TypeAlias = tuple[tuple[int, int], ...]
"""Channels inside and after each stage: 1 to 6, then those of the way up, 5d to 1d, if there is one."""

LARGE = (
    *((32, 64), (32, 128), (64, 256), (128, 512), (256, 512), (256, 512)),
    *((256, 512), (128, 256), (64, 128), (32, 64), (16, 64)),
)
SMALL = ((16, 64),) * 11

LEVELS = (7, 6, 5, 4, 4, 4)
"""Levels of the stages 1 to 6, and of 1d to 5d."""
FIRST_DILATED = 5
"""From this stage on maps are so small that the stages dilate instead of pooling."""


def u2net(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    """U-2-Net, 44 million parameters.

    weights: a file of the whole network (.pth, .safetensors, .onnx), such as the authors'; null for random weights.
    """
    return fill_network(U2Net(classes, channels, LARGE), weights, "u2net")


def u2netp(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    """The small U-2-Net, 1.1 million parameters. weights: as for u2net; `python -m models.fetch u2netp` gets a file."""
    return fill_network(U2Net(classes, channels, SMALL), weights, "u2netp")


class NestedUNet(ImageNetwork):
    """The U-Net of stages that U-2-Net and IS-Net share, and a convolution to logits after each stage of the way up.

    `widths`: channels inside and after each stage, 1 to 6 and then 5d to 1d.
    """

    def __init__(self, classes: int, channels: int, widths: Widths) -> None:
        super().__init__()
        self.channels = channels
        down, up = widths[:6], widths[6:]
        inputs = [channels, *(after for _, after in down)]
        for number, (inside, after) in enumerate(down, 1):
            self.add_module(f"stage{number}", stage(number, inputs[number - 1], inside, after))
        below = down[-1][1]
        for number, (inside, after) in zip(range(5, 0, -1), up, strict=True):
            self.add_module(f"stage{number}d", stage(number, below + down[number - 1][1], inside, after))
            below = after
        after_up = [after for _, after in reversed(up)]
        for number, after in enumerate([*after_up, down[-1][1]], 1):
            self.add_module(f"side{number}", nn.Conv2d(after, classes, 3, padding=1))

    def decoder_maps(self, x_BKhw: Tensor) -> list[Tensor]:
        """Compute the maps after the stages 1d, 2d, …, 5d and 6; the first has the size of `x_BKhw`."""
        maps = encoder_maps(self, x_BKhw)
        current = maps.pop()
        decoded = [current]
        for number in range(5, 0, -1):
            current = self.get_submodule(f"stage{number}d")(join(current, maps.pop()))
            decoded.insert(0, current)
        return decoded


class U2Net(NestedUNet):
    """From images [B, channels, H, W] to logits [B, C, H, W], fused from those of six depths."""

    def __init__(self, classes: int, channels: int, widths: Widths) -> None:
        super().__init__(classes, channels, widths)
        self.outconv = nn.Conv2d(6 * classes, classes, 1)

    def forward(self, images_BCHW: Tensor) -> Tensor | list[Tensor]:
        sides = side_logits(self, self.decoder_maps(images_BCHW), images_BCHW.shape[-2:])
        fused: Tensor = self.outconv(torch.cat(sides, 1))
        return [fused, *sides] if self.training else fused


def stage(number: int, in_channels: int, inside: int, after: int) -> Rsu:
    """Build the stage of this number, 1 to 6, on the way down or up."""
    return Rsu(LEVELS[number - 1], in_channels, inside, after, dilated=number >= FIRST_DILATED)


def encoder_maps(network: nn.Module, x_BKhw: Tensor) -> list[Tensor]:
    """Compute the maps after the stages 1 to 6; each begins with half the size of the one before."""
    maps = []
    for number in range(1, 7):
        x_BKhw = network.get_submodule(f"stage{number}")(x_BKhw if number == 1 else halve(x_BKhw))
        maps.append(x_BKhw)
    return maps


def side_logits(network: nn.Module, maps: Sequence[Tensor], size_hw: Sequence[int]) -> list[Tensor]:
    """Compute the logits of the first maps, resized to `size_hw`."""
    return [resize(network.get_submodule(f"side{number}")(x_BKhw), size_hw) for number, x_BKhw in enumerate(maps, 1)]
