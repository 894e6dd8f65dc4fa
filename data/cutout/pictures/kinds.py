"""The kinds of finished pictures; the keyword-only arguments of a function are its keys in YAML."""

# Shapes: H/W pixels of the photograph.
from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from data.cutout.photos.reader import read_photo
from data.cutout.pictures.base import Picture, mix
from data.cutout.pictures.grounds import blurred_ground, colour_named, filling
from data.refine.base import grown
from utils.arrays import Bytes, Image
from utils.files import expand
from utils.pictures import checkerboard

EDGE_PX = 4
"""So near to the object its colours continue, for programs that enlarge or reduce colours without their alpha."""
GAP_PX = 8
"""White pixels between the parts of a sheet."""


def rgba() -> Picture:
    """The object alone: its colours, and the mask as alpha. The default.

    Farther than some pixels from the object colours are black, so that nobody finds the ground in the file.
    """
    return Picture(_with_alpha, channels=4, halo_px=EDGE_PX)


def mask() -> Picture:
    """The mask alone, in grey: white is the object."""
    return Picture(_alpha_alone, channels=1, halo_px=0)


def colour(*, colour: str = "white") -> Picture:
    """The object on a colour.

    colour: its name, such as `white`, or its parts as `'#ff8000'`, in quotes.
    """
    ground = colour_named(colour)
    return Picture(lambda _, alpha, colours: mix(colours, alpha, ground), channels=3, mixes_srgb=True, halo_px=0)


def picture(*, file: str) -> Picture:
    """The object on another picture, whose middle fills the frame; it is cropped, never distorted.

    file: the picture's path.
    """
    return before(read_photo(Path(expand(file))).in_srgb.pixels)


def before(ground: Image) -> Picture:
    """Return the picture of an object before a ground, uint8[H, W, 3] in sRGB, whose middle fills the frame."""

    def draw(_photo: Image, alpha: Bytes, colours: Image) -> Bytes:
        return mix(colours, alpha, filling(ground, (alpha.shape[0], alpha.shape[1])))

    return Picture(draw, channels=3, mixes_srgb=True, identity=f"{zlib.crc32(ground.tobytes()):08x}")


def blur(*, strength: Annotated[float, Field(gt=0, le=0.5)] = 0.015) -> Picture:
    """The object before its own ground, which is blurred; the object's colours do not bleed into it.

    strength: standard deviation of the blur, as a share of the picture's longer side.
    """

    def draw(photo: Image, alpha: Bytes, colours: Image) -> Bytes:
        return mix(colours, alpha, blurred_ground(photo, alpha, strength))

    return Picture(draw, channels=3)


def sheet(
    *,
    part_px: Annotated[int, Field(ge=16, le=4096)] = 1024,
    square_px: Annotated[int, Field(ge=1, le=256)] = 16,
) -> Picture:
    """Photograph, object on a checkerboard and mask side by side, to look at; wide ones one below the other.

    part_px: longest side of each part; larger photographs are made smaller.
    square_px: side of the checkerboard's squares.
    """

    def draw(photo: Image, alpha: Bytes, colours: Image) -> Bytes:
        height, width = alpha.shape
        scale = min(1.0, part_px / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        board = checkerboard((height, width), max(1, round(square_px / scale)))
        parts = [photo, mix(colours, alpha, board), cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)]
        return side_by_side([np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA)) for part in parts])

    return Picture(draw, channels=3)


def _with_alpha(_photo: Image, alpha: Bytes, colours: Image) -> Bytes:
    near = grown(alpha > 0, EDGE_PX).view(np.uint8)
    return np.dstack([cv2.bitwise_and(colours, colours, mask=near), alpha])


def _alpha_alone(_photo: Image, alpha: Bytes, _colours: Image) -> Bytes:
    return alpha


def side_by_side(parts: list[Image]) -> Image:
    """Join pictures of one size, uint8[H, W, 3], in a row; in a column if they are more than twice as wide as high."""
    height, width = parts[0].shape[:2]
    axis = 0 if width > 2 * height else 1
    gap = np.full((GAP_PX, width, 3) if axis == 0 else (height, GAP_PX, 3), 255, np.uint8)
    joined = [parts[0]]
    for part in parts[1:]:
        joined += [gap, part]
    return np.concatenate(joined, axis=axis)
