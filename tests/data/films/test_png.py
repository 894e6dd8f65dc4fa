from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.films.png import decode_grey

FILTERS = {
    "none": cv2.IMWRITE_PNG_FILTER_NONE,
    "sub": cv2.IMWRITE_PNG_FILTER_SUB,
    "up": cv2.IMWRITE_PNG_FILTER_UP,
    "average": cv2.IMWRITE_PNG_FILTER_AVG,
    "paeth": cv2.IMWRITE_PNG_FILTER_PAETH,
    "any": cv2.IMWRITE_PNG_ALL_FILTERS,
}
IMAGES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=80))


def png(pixels: np.ndarray, name: str = "any") -> bytes:
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_FILTER, FILTERS[name]])[1])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(content: bytes, name: bytes, data: bytes) -> bytes:
    """The file with one more chunk after its header."""
    return content[:33] + chunk(name, data) + content[33:]


def noise(height: int = 70, width: int = 33) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)


@pytest.mark.parametrize("name", FILTERS)
@given(grey=IMAGES)
def test_one_and_three_equal_channels_decode_to_their_value_whatever_the_filter(name: str, grey: np.ndarray) -> None:
    for pixels in (grey, cv2.merge([grey] * 3)):
        decoded = decode_grey(png(pixels, name))
        assert decoded is not None
        np.testing.assert_array_equal(decoded, grey)


@pytest.mark.parametrize("name", FILTERS)
def test_smooth_pictures_meet_every_branch_of_a_filter(name: str) -> None:
    """Noise alone would leave most of a predictor's choices to chance."""
    wave = np.add.outer(np.sin(np.arange(90) / 9), np.cos(np.arange(70) / 7))
    grey = np.rint(127 + 60 * wave).astype(np.uint8)
    np.testing.assert_array_equal(decode_grey(png(cv2.merge([grey] * 3), name)), grey)


def test_the_data_may_be_cut_into_chunks_anywhere() -> None:
    content = png(noise())
    start = content.index(b"IDAT") - 4
    length = int.from_bytes(content[start : start + 4], "big")
    data, rest = content[start + 8 : start + 8 + length], content[start + 12 + length :]
    pieces = [data[:1], b"", data[1:900], data[900:]]
    cut = content[:start] + b"".join(chunk(b"IDAT", piece) for piece in pieces) + rest
    np.testing.assert_array_equal(decode_grey(cut), noise())


@pytest.mark.parametrize("place", [(0, 0, 0), (69, 32, 1), (35, 7, 2)])
def test_a_single_coloured_pixel_leaves_the_image_to_cv2(place: tuple[int, int, int]) -> None:
    pixels = cv2.merge([noise()] * 3)
    pixels[place] ^= 1
    assert decode_grey(png(pixels)) is None


@pytest.mark.parametrize("name", [b"tRNS", b"eXIf", b"acTL"])
def test_chunks_that_change_how_an_image_looks_leave_it_to_cv2(name: bytes) -> None:
    assert decode_grey(with_chunk(png(noise()), name, b"\0" * 8)) is None


def test_text_and_colour_profiles_do_not() -> None:
    content = with_chunk(png(noise()), b"tEXt", b"Comment\0left hand")
    np.testing.assert_array_equal(decode_grey(content), noise())


@given(st.data())
def test_a_damaged_file_is_never_decoded_to_something_else(data: st.DataObject) -> None:
    content = bytearray(png(noise(20, 20)))
    place = data.draw(st.integers(8, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert decode_grey(bytes(content)) is None
    assert decode_grey(bytes(content[:place])) is None


@pytest.mark.parametrize("rows", [19, 21])
def test_rows_missing_or_too_many_leave_the_image_to_cv2(rows: int) -> None:
    content = png(noise(20, 20))
    header = b"IHDR" + struct.pack(">II", 20, rows) + content[24:29]
    claimed = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    assert decode_grey(content) is not None
    assert decode_grey(claimed) is None


def test_an_unknown_filter_and_pixels_with_another_checksum_are_refused() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    for kind, damage, good in ((1, 0, True), (5, 0, False), (1, 1, False)):
        packed = bytearray(zlib.compress(bytes([kind, 10, 20])))
        packed[-1] ^= damage
        content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bytes(packed)) + chunk(b"IEND", b"")
        assert (decode_grey(content) is not None) == good
