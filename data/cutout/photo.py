"""Photographs as they are stored and as they are shown: a camera may note in the file how to turn the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from PIL.Image import DecompressionBombError

from data.image import LARGEST_SIDE_PX, REMEDY, noted_orientation
from utils.arrays import Pixels, Size
from utils.errors import UserError

TURNS_SIDES = (5, 6, 7, 8)


@dataclass(frozen=True)
class Photo:
    """What the head of an image file says: its size as stored, and how it is to be shown (1: as stored)."""

    stored_hw: Size
    orientation: int

    @property
    def is_turned(self) -> bool:
        return self.orientation != 1

    @property
    def shown_hw(self) -> Size:
        height, width = self.stored_hw
        return (width, height) if self.orientation in TURNS_SIDES else (height, width)


def look_at_photo(path: Path) -> Photo:
    """Read the head of an image file. Raises `UserError` for a file that is no image, or too large."""
    try:
        with PillowImage.open(path) as image:
            width, height = image.size
            orientation = noted_orientation(image)
            if image.format == "TIFF" and orientation in TURNS_SIDES:  # Pillow turns this format alone by itself
                width, height = height, width
    except (UnidentifiedImageError, DecompressionBombError, ValueError, SyntaxError) as error:
        raise UserError(f"{path}: the image cannot be decoded ({error}). {REMEDY}") from error
    except OSError as error:
        raise UserError(f"{path}: the image cannot be read ({error.strerror or error}). {REMEDY}") from error
    if max(height, width) > LARGEST_SIDE_PX:
        raise UserError(f"{path}: {width} x {height} px, expected at most {LARGEST_SIDE_PX} a side. Make it smaller.")
    return Photo((height, width), orientation)


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels uint8[H, W] or uint8[H, W, C] as EXIF's orientation 1..8 says, to be shown."""
    if orientation in TURNS_SIDES:
        pixels = np.swapaxes(pixels, 0, 1)
    # How many quarter turns are left differs; as flips of the axes after the swap they are these.
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])
