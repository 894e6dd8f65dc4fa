"""Radiographs in JPEG, TIFF, BMP and WebP files, as grey values of 8 bits in the order in which they are stored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage

from data.films.depth import in_8_bits
from data.films.png_file import damaged, refuse_size
from data.image import ENDS, REMEDY, decode_by_opencv, noted_orientation, truncated
from utils.arrays import Image, Size
from utils.errors import UserError

TURNS_SIDES = (5, 6, 7, 8)
_BITS, _INTERPRETATION, _WHITE_IS_ZERO = 258, 262, 0
"""Numbers of entries in a TIFF, and the value by which the second says that 0 is white."""
_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")
"""Pillow's names of colour spaces that programs for printing use, and decoders take differently."""


@dataclass(frozen=True)
class Head:
    """What an image file says before its pixels; `size_hw` is that of the stored pixels."""

    size_hw: Size
    orientation: int
    is_tiff: bool
    bits: int
    """Of a TIFF's grey values; 8 for others."""
    is_inverted: bool
    """Whether 0 is white, as a TIFF may say."""


def head_of(path: Path, content: bytes) -> Head:
    """Read the head of an image file; no pixel is decoded.

    Raises `UserError` for one that is damaged, has more than one picture, or colours that are made for printing.
    """
    warnings.filterwarnings("ignore", module="PIL")  # It warns of damaged notes, and of large images.
    try:
        with PillowImage.open(BytesIO(content)) as image:
            head, pictures, mode = _described(image), _pictures_in(image), image.mode
    except Exception as error:  # Pillow raises many types of errors for damaged files.
        raise damaged(path) from error
    refuse_size(path, head.size_hw)
    if pictures > 1:
        raise UserError(f"{path}: holds {pictures} pictures, expected one. Save the one that counts as a file.")
    if mode in _COLOURS:
        raise UserError(f"{path}: its colours are stored as {mode}, expected grey or RGB. Save it as a grey image.")
    return head


def _described(image: PillowImage.Image) -> Head:
    width, height = image.size
    orientation, is_tiff = noted_orientation(image), image.format == "TIFF"
    entries: Mapping[int, Any] = getattr(image, "tag_v2", {}) if is_tiff else {}
    if is_tiff and orientation in TURNS_SIDES:  # Pillow gives the size of the turned image for this format alone.
        width, height = height, width
    bits = max(entries.get(_BITS, (8,)))
    return Head((height, width), orientation, is_tiff, bits, entries.get(_INTERPRETATION) == _WHITE_IS_ZERO)


def _pictures_in(image: PillowImage.Image) -> int:
    """Count the pictures of a file; those that phones put behind a photograph, in the format MPO, are notes."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def read_raster(path: Path, content: bytes) -> Image:
    """Decode an image file to uint8[H, W]; see `data.films.reader.read_image`."""
    head = head_of(path, content)
    refuse_truncated(path, content)
    image = decode_by_opencv(content, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise damaged(path)
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: its values are of type {image.dtype}, expected 8 or 16 bits without sign. {_CONVERT}")
    if head.is_tiff:
        image = _as_stored(image, head.orientation)
    if image.shape != head.size_hw:
        raise damaged(path)
    return image if image.dtype == np.uint8 else _of_16_bits(image, head)


_CONVERT = f"Convert it to 16 bits without sign. {REMEDY}"


def refuse_truncated(path: Path, content: bytes) -> None:
    """Raise `UserError` for a file whose format has an end, and which lacks it."""
    if any(content.startswith(signature) and end not in content for signature, end in ENDS.items()):
        raise truncated(path)


def _of_16_bits(values: Any, head: Head) -> Image:
    """Return deep values as 8 bits; OpenCV has moved those of 9 to 15 bits up to the top of 16, and inverts none."""
    bits = head.bits if 8 < head.bits < 16 else None
    grey = in_8_bits(values if bits is None else values >> (16 - bits), bits)
    return 255 - grey if head.is_inverted else grey


def _as_stored(upright: Any, orientation: int) -> Any:
    """Turn pixels back that OpenCV has turned as a TIFF says; it ignores an orientation in other formats."""
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    pixels = upright[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(np.swapaxes(pixels, 0, 1) if orientation in TURNS_SIDES else pixels)
