"""The formats of picture files; the keyword-only arguments of a function are its keys in YAML."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated

import cv2
import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from data.cutout.photos.head import NO_NOTES, Notes
from utils.arrays import Bytes
from utils.errors import UserError

COMPRESSION = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
"""As quick as OpenCV's default, and files are smaller: 27 % of rendered pills, 3 % of ten photographs of all kinds.

Level 6, the default of Pillow, makes files 15 % smaller still and takes seven times as long.
"""
PNG_HEAD_BYTES = 33
"""The signature and the first chunk of a PNG file, which says its size."""
LARGEST_WEBP_PX = 16383
METRES_PER_INCH = 0.0254
Quality = Annotated[int, Field(ge=1, le=100)]


@dataclass(frozen=True)
class Format:
    """A format of files: `encode` makes the content of one from a picture's pixels and notes."""

    suffix: str
    encode: Callable[[Bytes, Notes], bytes]
    """Grey uint8[H, W], RGB uint8[H, W, 3] or RGBA uint8[H, W, 4] → bytes. Raises `UserError` for what does not fit."""
    takes_alpha: bool = True


def png() -> Format:
    """PNG, without loss. The default."""
    return Format(".png", encode_png)


def webp(*, quality: Quality | None = None) -> Format:
    """WebP, smaller than PNG.

    quality: 1 to 100; `null`: without loss.
    """

    def encode(pixels: Bytes, notes: Notes) -> bytes:
        if max(pixels.shape[:2]) > LARGEST_WEBP_PX:
            raise UserError(f"a WebP has at most {LARGEST_WEBP_PX} pixels a side. Take predict.format=png.")
        # With "exact", invisible pixels would keep their colours, and files be larger.
        settings = {"lossless": True} if quality is None else {"quality": quality, "alpha_quality": 100}
        return _by_pillow("WEBP", pixels, icc_profile=notes.profile, **settings)

    return Format(".webp", encode)


def jpeg(*, quality: Quality = 92) -> Format:
    """JPEG, for pictures without alpha. Colours have the full resolution, so edges stay clean.

    quality: 1 to 100.
    """

    def encode(pixels: Bytes, notes: Notes) -> bytes:
        dpi = None if notes.dpi is None else tuple(map(round, notes.dpi))
        return _by_pillow("JPEG", pixels, quality=quality, subsampling=0, icc_profile=notes.profile, dpi=dpi)

    return Format(".jpg", encode, takes_alpha=False)


def encode_png(pixels: Bytes, notes: Notes = NO_NOTES) -> bytes:
    """Make a PNG file of a picture; see `Format`."""
    to_bgr = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, to_bgr[pixels.shape[2]])
    content = cv2.imencode(".png", ordered, COMPRESSION)[1].tobytes()
    chunks = b""
    if notes.profile is not None:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(notes.profile))
    if notes.dpi is not None:
        across, down = (round(dots / METRES_PER_INCH) for dots in notes.dpi)
        chunks += _chunk(b"pHYs", across.to_bytes(4) + down.to_bytes(4) + b"\1")
    return content[:PNG_HEAD_BYTES] + chunks + content[PNG_HEAD_BYTES:] if chunks else content


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def _by_pillow(kind: str, pixels: Bytes, **settings: object) -> bytes:
    """Make a file of this format, without the settings that are None."""
    buffer = BytesIO()
    given = {key: value for key, value in settings.items() if value is not None}
    PillowImage.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **given)
    return buffer.getvalue()
