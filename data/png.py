"""PNG as the contest writes it (8 bits, grey or three equal channels) in half of cv2's time; the rest is left to cv2.

cv2 unpacks three channels, mixes them to grey, and inflates with the plain zlib. Where the channels are equal, so are
their filtered bytes, and one of the three need only be unfiltered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from utils.jit import kernel

try:
    from zlib_ng import zlib_ng as zlib
except ImportError:  # No wheel for this machine: the standard library inflates the same bytes in 1.6 times the time.
    import zlib  # type: ignore[no-redef]

Image: TypeAlias = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that say nothing about the stored values. Any other (transparency, orientation, animation) is cv2's affair.
_HARMLESS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"sBIT"})
_CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3}
_INFLATE_BYTES = 1 << 15  # So little at a time that what comes out is still in the cache when it is unfiltered.
_BAND_ROWS = 32


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
    return _decode([data for name, data in chunks if name == b"IDAT"], header)


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and data of each chunk, up to the first that is not whole or has another checksum than it says."""
    view, place = memoryview(content), len(_SIGNATURE)
    while place + 12 <= len(view):
        end = place + 12 + int.from_bytes(view[place : place + 4], "big")
        if end > len(view) or zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
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


def _decode(pieces: list[memoryview], header: Header) -> Image | None:
    """Inflate and unfilter band by band; None where the data are not exactly `header.height` rows of equal channels."""
    image = np.empty((header.height, header.width), np.uint8)
    done = 0
    try:
        for rows in _bands(_inflated(pieces), 1 + header.width * header.channels):
            if done + len(rows) > header.height or not unfilter(rows, header.channels, image, done):
                return None
            done += len(rows)
    except (zlib.error, EOFError):  # type: ignore[misc]  # zlib-ng's stub takes its error class for an instance.
        return None
    return image if done == header.height else None


def _inflated(pieces: list[memoryview]) -> Iterator[bytes]:
    """The data as they were before compression, some at a time. Raises EOFError where their end is missing."""
    stream = zlib.decompressobj()
    for piece in pieces:
        for start in range(0, len(piece), _INFLATE_BYTES):
            yield stream.decompress(piece[start : start + _INFLATE_BYTES])
    yield stream.flush()
    if not stream.eof:
        raise EOFError


def _bands(parts: Iterator[bytes], row_bytes: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Cut a stream into uint8[up to `_BAND_ROWS`, row_bytes]; a band is overwritten by the next. EOFError as above."""
    band = np.empty((_BAND_ROWS, row_bytes), np.uint8)
    flat, filled = band.reshape(-1), 0
    for part in parts:
        data = np.frombuffer(part, np.uint8)
        while data.size:
            taken = min(data.size, flat.size - filled)
            flat[filled : filled + taken] = data[:taken]
            data, filled = data[taken:], filled + taken
            if filled == flat.size:
                yield band
                filled = 0
    if filled % row_bytes:
        raise EOFError
    yield band[: filled // row_bytes]


@kernel
def unfilter(rows: npt.NDArray[np.uint8], channels: int, image: npt.NDArray[np.uint8], top: int) -> bool:
    """Undo PNG's filters (ISO 15948, section 9) for the first channel of `rows`, into `image` from row `top` on.

    Each row is a byte that names its filter, then its pixels. False for an unknown filter, and for channels that
    differ: filters treat every channel alike, so their filtered bytes are equal just where their values are.
    """
    above = image[top - 1] if top else np.zeros(image.shape[1], np.uint8)
    for number in range(rows.shape[0]):
        kind, filtered, now = rows[number, 0], rows[number, 1:], image[top + number]
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
def _all_equal(filtered: npt.NDArray[np.uint8]) -> bool:
    differences = np.uint8(0)
    for x in range(filtered.size // 3):
        first = filtered[3 * x]
        differences |= (first ^ filtered[3 * x + 1]) | (first ^ filtered[3 * x + 2])
    return bool(differences == 0)


@kernel
def _add_paeth(
    filtered: npt.NDArray[np.uint8], channels: int, above: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]
) -> None:
    """Add whichever of left, upper and upper left neighbour is nearest to left + upper - upper left."""
    left, corner = 0, 0
    for x in range(now.size):
        upper = np.int64(above[x])
        to_left, to_upper, to_corner = abs(upper - corner), abs(left - corner), abs(left + upper - 2 * corner)
        nearest = upper if to_upper <= to_corner else corner
        if to_left <= to_upper and to_left <= to_corner:
            nearest = left
        left = (filtered[x * channels] + nearest) & 255
        now[x] = left
        corner = upper
