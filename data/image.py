"""Radiographs on disk: grey PNG files, decoded to one channel; anything broken is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from utils.errors import UserError

Image: TypeAlias = npt.NDArray[np.uint8]
"""A grey image, uint8[H, W]."""

Size: TypeAlias = tuple[int, int]
"""(H, W) in pixels."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"  # The last chunk: its name and its checksum.
_HEADER_BYTES = 26
_TAIL_BYTES = 1024  # The last chunk is 12 bytes; some scanners append a few of their own.


def read_image(path: Path) -> Image:
    """Decode a PNG to uint8[H, W], at its own size.

    The contest stores three equal channels; equal channels decode to exactly that value, a colour image to its luma.
    Raises `UserError` for a file that is absent, truncated, damaged, no PNG, or has 16 bits per channel.
    """
    content = _read(path)
    _size_of(path, content[:_HEADER_BYTES], content[-_TAIL_BYTES:])
    image: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise UserError(f"{path}: the image is damaged and cannot be decoded. Copy it again from its source.")
    return image


def image_size(path: Path) -> Size:
    """The size of a PNG from its header, without decoding it; raises `UserError` as `read_image` does.

    Only damage inside the compressed pixels goes unseen here; a truncated file does not.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            tail = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _size_of(path, header, tail)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: the image cannot be read ({error.strerror}). Check the path and its permissions.")


def _size_of(path: Path, header: bytes, tail: bytes) -> Size:
    """Read the fixed first chunk of a PNG: width, height (big-endian, 4 bytes each), bits per channel."""
    if not header.startswith(_SIGNATURE) or len(header) < _HEADER_BYTES:
        raise UserError(f"{path}: not a PNG image. Convert it to an 8-bit grey PNG.")
    if _END not in tail:
        raise UserError(f"{path}: the image is truncated, its end is missing. Copy it again from its source.")
    if header[24] > 8:
        raise UserError(f"{path}: {header[24]} bits per channel, expected 8. Convert it to an 8-bit grey PNG.")
    return int.from_bytes(header[20:24], "big"), int.from_bytes(header[16:20], "big")
