"""What a picture of a cut-out is, and how object and ground are mixed."""

# Shapes: H/W pixels of the photograph, C channels.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from utils.arrays import Bytes, Image

BAND_ROWS = 256
"""Rows that are mixed at a time, so that memory for sums does not grow with pictures."""

Draw: TypeAlias = Callable[[Image, Bytes, Image], Bytes]
"""A photograph uint8[H, W, 3], its alpha uint8[H, W] and the object's colours uint8[H, W, 3] → a picture."""


@dataclass(frozen=True)
class Picture:
    """A kind of finished picture, as it is configured.

    `draw` is a pure function of the photograph (RGB, upright), its alpha and the object's colours. The colours are
    straight, never premultiplied: those of the photograph, or at soft edges the object's own
    (`data.refine.object_colours`).
    """

    draw: Draw
    channels: int
    """Of the picture: 1, grey uint8[H, W]; 3, RGB uint8[H, W, 3]; 4, RGB and alpha uint8[H, W, 4]."""
    mixes_srgb: bool = False
    """Whether it contains colours that are not the photograph's. They are sRGB, so its colours must be sRGB as well."""
    identity: str = ""
    """What the picture depends on beside its parameters, such as the pixels of a file, in one word."""

    @property
    def has_alpha(self) -> bool:
        return self.channels == 4

    @property
    def shows_alpha(self) -> bool:
        """Whether the alpha can be read from the picture again."""
        return self.channels in (1, 4)


def mix(colours: Image, alpha: Bytes, ground: Image) -> Image:
    """Return alpha · colours + (1 - alpha) · ground, rounded: uint8[H, W, 3]; a ground of [1, 1, 3] is one colour."""
    mixed = np.empty_like(colours)
    behind = np.broadcast_to(ground, colours.shape)
    for top in range(0, len(colours), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        share = alpha[rows, :, None].astype(np.uint16)  # At most 255 · 255 + 127, which 16 bits hold.
        mixed[rows] = (colours[rows] * share + behind[rows] * (255 - share) + 127) // 255
    return mixed
