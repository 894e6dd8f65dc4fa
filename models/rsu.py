"""The residual U-block (RSU) of U-2-Net (arXiv:2005.09007), from which U-2-Net and IS-Net are built.

The names of all parts are the authors', so that their files of weights fit without renaming.
"""

# Shapes: B images, C channels, H/W pixels of a feature map; h/w those of a smaller one.
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormRelu(nn.Module):
    """A 3 x 3 convolution, batch normalisation and ReLU; the size of the map stays."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(out_channels)
        self.relu_s1 = nn.ReLU(inplace=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        output: Tensor = self.relu_s1(self.bn_s1(self.conv_s1(x_BCHW)))
        return output


class Rsu(nn.Module):
    """A small U-Net of `levels` levels whose result is added to its input, after a first convolution; the size stays.

    Level 1 has the size of the input, each further one half of it, and the last convolves level `levels - 1` once more
    with dilation 2. If `dilated`, all levels have the size of the input, and level n has dilation 2^(n - 1) instead.
    """

    def __init__(
        self, levels: int, in_channels: int, mid_channels: int, out_channels: int, *, dilated: bool = False
    ) -> None:
        super().__init__()
        self.levels, self.dilated = levels, dilated
        self.rebnconvin = ConvNormRelu(in_channels, out_channels)
        for level in range(1, levels + 1):
            inputs = out_channels if level == 1 else mid_channels
            self.add_module(f"rebnconv{level}", ConvNormRelu(inputs, mid_channels, self._dilation(level)))
        for level in range(levels - 1, 0, -1):
            outputs = out_channels if level == 1 else mid_channels
            self.add_module(f"rebnconv{level}d", ConvNormRelu(2 * mid_channels, outputs, self._dilation(level)))

    def _dilation(self, level: int) -> int:
        """The dilation of a level; without pooling in between, it doubles from level to level."""
        if self.dilated:
            return 1 << level - 1
        return 2 if level == self.levels else 1

    def forward(self, x_BCHW: Tensor) -> Tensor:
        first_BCHW = self.rebnconvin(x_BCHW)
        # Down: the map of each level is kept for the way up. The last level is not smaller than the one before it.
        maps, current = [], first_BCHW
        for level in range(1, self.levels + 1):
            if not self.dilated and 1 < level < self.levels:
                current = halve(current)
            current = self.get_submodule(f"rebnconv{level}")(current)
            maps.append(current)
        # Up: from the last level to the first, each beside the map of the level above it.
        current = maps.pop()
        for level in range(self.levels - 1, 0, -1):
            skip_BChw = maps.pop()
            current = self.get_submodule(f"rebnconv{level}d")(join(current, skip_BChw))
        output: Tensor = current + first_BCHW
        return output


def halve(x_BCHW: Tensor) -> Tensor:
    """Halve a map by the largest of each 2 x 2 values; an odd side is rounded up."""
    return F.max_pool2d(x_BCHW, 2, stride=2, ceil_mode=True)


def join(x_BChw: Tensor, skip_BCHW: Tensor) -> Tensor:
    """Stack a map, enlarged to the size of `skip_BCHW`, and `skip_BCHW`."""
    return torch.cat((resize(x_BChw, skip_BCHW.shape[-2:]), skip_BCHW), 1)


def resize(x_BChw: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Resize a map bilinearly, pixel borders aligned."""
    return F.interpolate(x_BChw, size=tuple(size_hw), mode="bilinear", align_corners=False)
