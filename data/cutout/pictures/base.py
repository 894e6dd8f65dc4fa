"""What a picture of a cut-out is, and how object and ground are mixed."""

# Shapes: H/W pixels of the photograph, C channels.
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from data.cutout.photos.head import Notes
from data.cutout.photos.reader import Photograph
from data.refine.colours import OwnColours
from utils.arrays import Bytes, Image, Size

BAND_ROWS = 256
"""Rows that are mixed, or drawn and compressed, at a time, so that memory for them does not grow with pictures."""

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
    halo_px: int | None = None
    """Rows may be drawn from the same rows, and so many above and below them; None: only the whole picture can be."""
    identity: str = ""
    """What the picture depends on beside its parameters, such as the pixels of a file, in one word."""

    @property
    def has_alpha(self) -> bool:
        return self.channels == 4

    @property
    def shows_alpha(self) -> bool:
        """Whether the alpha can be read from the picture again."""
        return self.channels in (1, 4)


@dataclass(frozen=True)
class Bands:
    """A finished picture whose rows are drawn when they are needed."""

    size_hw: Size
    channels: int
    draw_rows: Callable[[slice], Bytes]

    def __iter__(self) -> Iterator[Bytes]:
        height = self.size_hw[0]
        return (self.draw_rows(slice(top, min(top + BAND_ROWS, height))) for top in range(0, height, BAND_ROWS))

    @classmethod
    def of(cls, pixels: Bytes) -> Bands:
        """Return the rows of a picture that is there already: uint8[H, W] or uint8[H, W, C]."""
        height, width = pixels.shape[:2]
        return cls((height, width), 1 if pixels.ndim == 2 else pixels.shape[2], lambda rows: pixels[rows])

    @property
    def pixels(self) -> Bytes:
        """The whole picture."""
        bands = list(self)
        return bands[0] if len(bands) == 1 else np.concatenate(bands)


def finish(picture: Picture, photo: Photograph, mask: Bytes, own_colours: bool) -> tuple[Bands, Notes]:
    """Return the finished picture of a photograph with its predicted mask uint8[H, W], and what its file is to note.

    The file's own alpha is multiplied in. `own_colours`: whether soft edges have the object's own colours, without
    those of the ground.
    """
    shown = photo.in_srgb if picture.mixes_srgb else photo
    notes = replace(shown.notes, profile=None) if picture.channels == 1 else shown.notes
    height, width = mask.shape
    pixels, alpha = shown.pixels, photo.alpha_with(mask)
    # Colours that the file's own alpha covers are straight already, so they follow from the mask alone.
    own = OwnColours.estimated(pixels, mask) if own_colours and picture.channels > 1 else None

    def draw(around: slice) -> Bytes:
        colours = pixels[around] if own is None else own.rows(around)
        return picture.draw(pixels[around], alpha[around], colours)

    def draw_rows(rows: slice) -> Bytes:
        halo = picture.halo_px or 0
        around = slice(max(0, rows.start - halo), min(height, rows.stop + halo))
        return draw(around)[rows.start - around.start :][: rows.stop - rows.start]

    if picture.halo_px is None:
        return Bands.of(draw(slice(0, height))), notes
    return Bands((height, width), picture.channels, draw_rows), notes


def mix(colours: Image, alpha: Bytes, ground: Image) -> Image:
    """Return alpha · colours + (1 - alpha) · ground, rounded: uint8[H, W, 3]; a ground of [1, 1, 3] is one colour."""
    mixed = np.empty_like(colours)
    behind = np.broadcast_to(ground, colours.shape)
    for top in range(0, len(colours), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        share = alpha[rows, :, None].astype(np.uint16)  # At most 255 · 255 + 127, which 16 bits hold.
        mixed[rows] = (colours[rows] * share + behind[rows] * (255 - share) + 127) // 255
    return mixed
