"""Images on disk: any 8-bit image that OpenCV decodes, as grey values or as RGB; what is broken is refused by name.

These readers turn an image as EXIF says, as is usual for photographs, so image, mask and size must all be read by them.
Radiographs are read as they are stored, see `data.films.reader`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image as PillowImage

from utils.arrays import Image
from utils.errors import UserError

LARGEST_SIDE_PX = 16384
"""No image is larger; a header that claims more is damaged, and decoding it would take gigabytes of memory."""
LARGE_PX = 40_000_000
"""Larger images are predicted one after the other, and memory is freed as soon as possible."""
PNG_SIGNATURE, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"  # The end is the name and checksum of the last chunk.
JPEG_SIGNATURE, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
ENDS = {PNG_SIGNATURE: PNG_END, JPEG_SIGNATURE: JPEG_END}
"""What a whole file contains, by its first bytes."""
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_EXIF_MARKS = (b"eXIf", b"Exif\0\0", b"EXIF")
"""What stands before EXIF in PNG, JPEG and WebP."""
ORIENTATION = 0x0112
"""The number of the EXIF entry; its values 1..8 are those of the TIFF standard."""
TURNED_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF")
"""Formats that OpenCV turns as EXIF says, by Pillow's names."""
REMEDY = "Copy it again from its source, or leave it out."


def read_grey(path: Path) -> Image:
    """Decode an image to grey values uint8[H, W]; colours become their luma.

    A rotation that a camera noted in the file is applied; an alpha channel is left out. Raises `UserError` for a file
    that is absent, truncated, damaged, of no format that is known, or of more than 8 bits per channel.
    """
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def read_rgb(path: Path) -> Image:
    """Decode an image to RGB, uint8[H, W, 3]; grey values become three equal ones. As `read_grey` for all else."""
    return _decode(path, cv2.IMREAD_COLOR_RGB)


def is_large(shape: Sequence[int]) -> bool:
    """Whether an image of a size (H, W) or shape (H, W, C) is so large that several would fill the memory."""
    return shape[0] * shape[1] > LARGE_PX


def orientation_of(content: bytes) -> int:
    """Return the orientation that EXIF notes in a PNG, JPEG, WebP or TIFF file: 1 upright (or none noted) to 8.

    3 is upside down; from 5 on, width and height are exchanged.
    """
    if not content.startswith(_TIFF_SIGNATURES) and not any(mark in content for mark in _EXIF_MARKS):
        return 1
    try:
        with PillowImage.open(BytesIO(content)) as image:
            return noted_orientation(image)
    except Exception:  # The file is damaged, or only looked like one with EXIF; Pillow raises many types of errors.
        return 1


def noted_orientation(image: PillowImage.Image) -> int:
    """Return the orientation that EXIF notes in an opened image, as `orientation_of` does; no pixel is decoded.

    Only what OpenCV turns an image by counts: EXIF, not XMP, in the formats `TURNED_FORMATS`.
    """
    if image.format not in TURNED_FORMATS:
        return 1
    number = _tags_of(image).get(ORIENTATION, 1)
    return int(number) if number in range(1, 9) else 1


def _tags_of(image: PillowImage.Image) -> Mapping[int, Any]:
    """Return the entries of an image's EXIF; `getexif` would decode a whole PNG to look for it at its end."""
    if image.format == "TIFF":
        entries: Mapping[int, Any] = image.tag_v2  # type: ignore[attr-defined]
        return entries
    content = image.info.get("exif")
    if content is None and image.format == "PNG":
        content = _last_exif(image.fp)  # type: ignore[attr-defined]
    exif = PillowImage.Exif()
    exif.load(content or b"")
    return exif


def _last_exif(png: IO[bytes]) -> bytes | None:
    """Return the EXIF of a PNG by going from chunk to chunk; None if it has none."""
    png.seek(len(PNG_SIGNATURE))
    while len(head := png.read(8)) == 8:  # the length of the content, and the kind
        size = int.from_bytes(head[:4])
        if head[4:] == b"eXIf":
            return png.read(size)
        png.seek(size + 4, SEEK_CUR)  # the content and its checksum
    return None


def _decode(path: Path, mode: int) -> Image:
    """Decode a whole file as cv2 does in a mode."""
    content = read_bytes(path)
    for signature, end in ENDS.items():
        if content.startswith(signature) and end not in content:
            raise truncated(path)
    # With IMREAD_ANYDEPTH, 16 bits stay 16 and can be refused; without it cv2 would drop the lower 8 in silence.
    image = decode_by_opencv(content, mode | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise UserError(
            f"{path}: the image cannot be decoded: it is damaged, or no PNG, JPEG, WebP, BMP or TIFF. Save it as one "
            "of these, or leave it out."
        )
    if image.dtype != np.uint8:
        bits = 8 * image.dtype.itemsize
        raise UserError(f"{path}: {bits} bits per channel, expected 8. Convert it to an image of 8 bits per channel.")
    decoded: Image = image
    return decoded


def decode_by_opencv(content: bytes, mode: int) -> Any | None:
    """Decode an image as cv2 does in a mode; None if it is damaged.

    A PNG with a chunk that claims more bytes than follow is damaged: cv2 would first fill as many with zeros, up to 4
    GiB in seven seconds.
    """
    if content.startswith(PNG_SIGNATURE) and _has_overlong_chunk(content):
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except cv2.error:
        return None


def _has_overlong_chunk(png: bytes) -> bool:
    """Whether a chunk before the last (length, kind, content, checksum) is longer than the rest of the file."""
    place = len(PNG_SIGNATURE)
    while place + 8 <= len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4])
        if end > len(png):
            return True
        if png[place + 4 : place + 8] == b"IEND":
            return False
        place = end
    return False


def read_bytes(path: Path) -> bytes:
    """Read a whole file. Raises `UserError` if that is not possible."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> UserError:
    """The error for a file that cannot be opened."""
    if path.is_symlink() and not path.exists():
        return UserError(
            f"{path}: is a link to {path.readlink()}, which is not there. Copy the file, or remove the link."
        )
    return UserError(f"{path}: the image cannot be read ({error.strerror}). Check the path and its permissions.")


def truncated(path: Path) -> UserError:
    """The error for a file that lacks its end."""
    return UserError(f"{path}: the image is truncated, its end is missing. {REMEDY}")
