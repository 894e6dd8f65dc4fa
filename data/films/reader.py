"""Radiographs on disk: grey PNG files, decoded to one channel; what is broken or of another kind is refused by name.

Every reader of sizes and pixels takes the pixels as they are stored. An orientation in EXIF is ignored, and reported by
the checks: labels and submissions count the stored pixels, as do the programs that score them.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2

from data.films.png import decode_grey
from data.image import (
    LARGEST_SIDE_PX,
    PNG_END,
    PNG_SIGNATURE,
    REMEDY,
    decode_by_opencv,
    orientation_of,
    read_bytes,
    truncated,
    unreadable,
)
from utils.arrays import Image, Size
from utils.errors import UserError

_HEADER_BYTES = 26
_TAIL_BYTES = 1024  # The last chunk is 12 bytes; some scanners append a few of their own.
_OTHER_FORMATS = {b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"GIF8": "GIF"}


def read_image(path: Path) -> Image:
    """Decode a PNG to uint8[H, W], at its own size.

    The contest stores three equal channels; equal channels decode to exactly that value, a colour image to its luma.
    An alpha channel is left out: programs add an opaque one to grey images, and what it says is about showing them.
    16 bits per channel are refused, not converted: scanners use 10 to 14 of them, and which ones the file does not say.
    Raises `UserError` for these, and for a file that is absent, truncated, damaged or no PNG.
    """
    content = read_bytes(path)
    _size_of(path, content[:_HEADER_BYTES])
    if content.rfind(PNG_END) < 0:
        raise truncated(path)
    image = decode_grey(content)
    if image is None:
        image = _decode_any(content)
    if image is None:
        raise _damaged(path)
    return image


def image_size(path: Path) -> Size:
    """Read the size of a PNG from its header, without decoding it; raises `UserError` as `read_image` does.

    Damage between header and end is not found here; a truncated file is.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            tail = file.read()
    except OSError as error:
        raise unreadable(path, error) from error
    size_hw = _size_of(path, header)
    if PNG_END not in tail and PNG_END not in read_bytes(path):
        raise truncated(path)
    return size_hw


def check_image(path: Path) -> tuple[Size, int]:
    """Return size and EXIF orientation (1: upright); check that every chunk is there and has its checksum.

    Takes about 1 ms, decoding 23. A file that passes decodes, unless the program that wrote it made a mistake.
    """
    content = read_bytes(path)
    size_hw = _size_of(path, content[:_HEADER_BYTES])
    _walk_chunks(path, content)
    return size_hw, orientation_of(content)


def _decode_any(content: bytes) -> Image | None:
    """Decode any kind of PNG to grey values; None if it is damaged."""
    return decode_by_opencv(content, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


def _size_of(path: Path, header: bytes) -> Size:
    """Read the fixed first chunk of a PNG: width, height (big-endian, 4 bytes each), bits per channel."""
    if not header:
        raise UserError(f"{path}: the image is empty, a file of 0 bytes. {REMEDY}")
    if not header.startswith(PNG_SIGNATURE):
        raise UserError(f"{path}: {_kind_of(header)}, not a PNG image. Convert its source to an 8-bit grey PNG.")
    if len(header) < _HEADER_BYTES:
        raise truncated(path)
    width, height, bits = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big"), header[24]
    if not (0 < width <= LARGEST_SIDE_PX and 0 < height <= LARGEST_SIDE_PX):
        raise UserError(
            f"{path}: its header says {height} x {width} px, expected 1 to {LARGEST_SIDE_PX} a side. {REMEDY}"
        )
    if bits > 8:
        raise UserError(f"{path}: {bits} bits per channel, expected 8. Convert it to an 8-bit grey PNG.")
    return height, width


def _kind_of(header: bytes) -> str:
    named = (name for begins, name in _OTHER_FORMATS.items() if header.startswith(begins))
    return next((f"by its content a {name} file" for name in named), "by its content")


def _walk_chunks(path: Path, content: bytes) -> None:
    """Follow the chunks (length, name, data, checksum of name and data) from the signature to the last."""
    view, place = memoryview(content), len(PNG_SIGNATURE)
    while place + 12 <= len(view):
        end = place + 12 + int.from_bytes(view[place : place + 4], "big")
        if end > len(view):
            break
        if zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise _damaged(path)
        if content[place + 4 : place + 8] == b"IEND":
            return
        place = end
    raise _damaged(path) if PNG_END in content else truncated(path)


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: the image is damaged, its content is not what was written. {REMEDY}")
