"""The formats of picture files; the keyword-only arguments of a function are its keys in YAML."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated

import deflate
import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from data.cutout.photos.head import NO_NOTES, Notes
from data.cutout.pictures.base import Bands
from utils.arrays import Bytes
from utils.errors import UserError

COMPRESSION = 1
"""The level. Files are 7 % smaller than the quickest of OpenCV's, in less than half of the time; those of level 6, the
default of Pillow, are 10 % smaller still and take 6 to 15 times as long."""
AT_ONCE_BYTES = 1 << 26
"""Pixels of more bytes are compressed band by band, which takes zlib three times as long."""
UP = 2
"""The filter of PNG that subtracts from each row the one above it."""
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Of PNG, by the number of channels."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_WEBP_PX = 16383
METRES_PER_INCH = 0.0254
Quality = Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True)
class Format:
    """A format of files: `encode` makes the content of one from a picture and its notes."""

    suffix: str
    encode: Callable[[Bands, Notes], bytes]
    """Grey, RGB or RGBA, by the number of channels → bytes. Raises `UserError` for what does not fit."""
    takes_alpha: bool = True


def png() -> Format:
    """PNG, without loss. The default."""
    return Format(".png", encode_png)


def webp(*, quality: Quality | None = None) -> Format:
    """WebP, smaller than PNG.

    quality: 1 to 100; `null`: without loss.
    """

    def encode(picture: Bands, notes: Notes) -> bytes:
        if max(picture.size_hw) > LARGEST_WEBP_PX:
            raise UserError(f"a WebP has at most {LARGEST_WEBP_PX} pixels a side. Take predict.format=png.")
        # With "exact", invisible pixels would keep their colours, and files be larger.
        settings = {"lossless": True} if quality is None else {"quality": quality, "alpha_quality": 100}
        return _by_pillow("WEBP", picture, icc_profile=notes.profile, **settings)

    return Format(".webp", encode)


def jpeg(*, quality: Quality = 92) -> Format:
    """JPEG, for pictures without alpha. Colours have the full resolution, so edges stay clean.

    quality: 1 to 100.
    """

    def encode(picture: Bands, notes: Notes) -> bytes:
        dpi = None if notes.dpi is None else tuple(map(round, notes.dpi))
        return _by_pillow("JPEG", picture, quality=quality, subsampling=0, icc_profile=notes.profile, dpi=dpi)

    return Format(".jpg", encode, takes_alpha=False)


def encode_png(picture: Bands, notes: Notes = NO_NOTES) -> bytes:
    """Make a PNG file of a picture; see `Format`."""
    height, width = picture.size_hw
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, COLOUR_TYPES[picture.channels], 0, 0, 0])
    chunks = [(b"IHDR", head)]
    if notes.profile is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(notes.profile)))
    if notes.dpi is not None:
        across, down = (round(dots / METRES_PER_INCH) for dots in notes.dpi)
        chunks.append((b"pHYs", across.to_bytes(4) + down.to_bytes(4) + b"\1"))
    chunks += ((b"IDAT", part) for part in _compressed(picture))
    return b"".join([SIGNATURE, *(_chunk(*chunk) for chunk in (*chunks, (b"IEND", b"")))])


def _compressed(picture: Bands) -> Iterator[bytes]:
    """Yield the parts of the compressed pixels."""
    height, width = picture.size_hw
    if height * width * picture.channels <= AT_ONCE_BYTES:
        yield bytes(deflate.zlib_compress(np.concatenate(list(_filtered(picture))), COMPRESSION))
        return
    packer = zlib.compressobj(COMPRESSION)
    yield from (packer.compress(band.data) for band in _filtered(picture))
    yield packer.flush()


def _filtered(picture: Bands) -> Iterator[Bytes]:
    """Yield bands of filtered rows, uint8[h, 1 + W * C]."""
    width = picture.size_hw[1] * picture.channels
    above = np.zeros(width, np.uint8)
    for band in picture:
        flat = band.reshape(len(band), width)
        filtered = np.empty((len(flat), 1 + width), np.uint8)
        filtered[:, 0] = UP
        np.subtract(flat[0], above, out=filtered[0, 1:])
        np.subtract(flat[1:], flat[:-1], out=filtered[1:, 1:])
        above = flat[-1]
        yield filtered


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def _by_pillow(kind: str, picture: Bands, **settings: object) -> bytes:
    """Make a file of this format, without the settings that are None."""
    buffer = BytesIO()
    given = {key: value for key, value in settings.items() if value is not None}
    PillowImage.fromarray(np.ascontiguousarray(picture.pixels)).save(buffer, kind, **given)
    return buffer.getvalue()
