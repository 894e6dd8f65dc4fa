"""PNG as the contest writes it (8 bits, grey or three equal channels) in a third of cv2's time; cv2 does the rest.

cv2 unpacks three channels, mixes them to grey, and inflates with the plain zlib, which takes four times as long as
libdeflate. Where the channels are equal, so are
their filtered bytes, and one of the three need only be unfiltered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import deflate
import numpy as np

from utils.arrays import Bytes, Image
from utils.system.jit import kernel

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that say nothing about the stored values. Any other (transparency, orientation, animation) is cv2's affair.
_HARMLESS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"sBIT"})
_CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3}


class Header(NamedTuple):
    """What the first chunk says, of a file that can be decoded here."""

    height: int
    width: int
    channels: int


def decode_grey(content: bytes) -> Image | None:
    """The grey values uint8[H, W] of a whole file, equal to cv2's.

    None where cv2 has to decide: damaged files, other kinds of PNG, and channels that differ.
    """
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        return None
    header = _header(bytes(chunks[0][1]))
    if header is None or not all(name == b"IDAT" or name in _HARMLESS for name, _ in chunks[1:-1]):
        return None
    return _decode(b"".join(data for name, data in chunks if name == b"IDAT"), header)


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and data of each chunk, up to the first that is not whole or has another checksum than it says."""
    view, place = memoryview(content), len(_SIGNATURE)
    while place + 12 <= len(view):
        end = place + 12 + int.from_bytes(view[place : place + 4], "big")
        if end > len(view) or deflate.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return
        name = content[place + 4 : place + 8]
        yield name, view[place + 8 : end - 4]
        if name == b"IEND":
            return
        place = end


def _header(data: bytes) -> Header | None:
    """Width, height, bits, colour type, compression, filter, interlace; None unless 8 bits in 1 or 3 plain channels."""
    if len(data) != 13 or data[8] != 8 or data[9] not in _CHANNELS_OF_COLOUR_TYPE or any(data[10:]):
        return None
    width, height = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    return Header(height, width, _CHANNELS_OF_COLOUR_TYPE[data[9]])


def _decode(packed: bytes, header: Header) -> Image | None:
    """Inflate and unfilter; None where the data are not exactly `header.height` rows of equal channels."""
    row_bytes = 1 + header.width * header.channels
    try:
        raw = deflate.zlib_decompress(packed, header.height * row_bytes)
    except deflate.DeflateError:
        return None
    if len(raw) != header.height * row_bytes:
        return None
    image = np.empty((header.height, header.width), np.uint8)
    rows = np.frombuffer(raw, np.uint8).reshape(header.height, row_bytes)
    return image if unfilter(rows, header.channels, image) else None


@kernel
def unfilter(rows: Bytes, channels: int, image: Bytes) -> bool:
    """Undo PNG's filters (ISO 15948, section 9) for the first channel of `rows`, into `image`.

    Each row is a byte that names its filter, then its pixels. False for an unknown filter, and for channels that
    differ: filters treat every channel alike, so their filtered bytes are equal just where their values are.
    """
    above = np.zeros(image.shape[1], np.uint8)
    for number in range(rows.shape[0]):
        kind, filtered, now = rows[number, 0], rows[number, 1:], image[number]
        if kind > 4 or (channels == 3 and not _all_equal(filtered)):
            return False
        if kind == 0:
            for x in range(now.size):
                now[x] = filtered[x * channels]
        elif kind == 1:
            left = 0
            for x in range(now.size):
                left += filtered[x * channels]
                now[x] = left
        elif kind == 2:
            for x in range(now.size):
                now[x] = filtered[x * channels] + above[x]
        elif kind == 3:
            left = 0
            for x in range(now.size):
                left = (filtered[x * channels] + ((left + above[x]) >> 1)) & 255
                now[x] = left
        else:
            _add_paeth(filtered, channels, above, now)
        above = now
    return True


@kernel
def _all_equal(filtered: Bytes) -> bool:
    differences = np.uint8(0)
    for x in range(filtered.size // 3):
        first = filtered[3 * x]
        differences |= (first ^ filtered[3 * x + 1]) | (first ^ filtered[3 * x + 2])
    return bool(differences == 0)


@kernel
def _add_paeth(filtered: Bytes, channels: int, above: Bytes, now: Bytes) -> None:
    """Add whichever of left, upper and upper left neighbour is nearest to left + upper - upper left."""
    left, corner = np.int64(0), np.int64(0)
    for x in range(now.size):
        upper = np.int64(above[x])
        to_left, to_upper, to_corner = abs(upper - corner), abs(left - corner), abs(left + upper - 2 * corner)
        nearest = upper if to_upper <= to_corner else corner
        if to_left <= to_upper and to_left <= to_corner:
            nearest = left
        left = (filtered[x * channels] + nearest) & 255
        now[x] = left
        corner = upper
