from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.films.reader import check_image, image_size, read_image
from utils.errors import UserError

READERS = [read_image, image_size, check_image]


def png(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels)
    return path


def test_three_equal_channels_decode_to_exactly_their_value(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(8, 32)
    path = png(tmp_path / "a.png", np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_image(path), grey)
    np.testing.assert_array_equal(read_image(png(path, grey)), grey)


def test_the_size_is_read_as_height_and_width(tmp_path: Path) -> None:
    assert image_size(png(tmp_path / "a.png", np.zeros((3, 5), np.uint8))) == (3, 5)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kept", [0, 20, 60, -1, -12])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, read: type, kept: int) -> None:
    path = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"a\.png: .*(truncated|is empty)"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_an_absent_file_and_other_formats_are_refused(tmp_path: Path, read: type) -> None:
    with pytest.raises(UserError, match=r"absent\.png: the image cannot be read"):
        read(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello, this is no image at all")
    with pytest.raises(UserError, match=r"text\.png: is by its content no image, expected PNG, JPEG, TIFF"):
        read(tmp_path / "text.png")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bytes(pixels: np.ndarray, *, bits: int = 8, colour: int = 0, interlace: int = 0, more: bytes = b"") -> bytes:
    """A PNG written by hand, for the kinds that OpenCV does not write; `more` stands before the pixels."""
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, interlace)
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    parts = (chunk(b"IHDR", header), more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def claiming(content: bytes, height: int, width: int) -> bytes:
    """The PNG with another size in its header, whose checksum is right."""
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64), np.uint8)


@pytest.mark.parametrize("read", [read_image, check_image])
@pytest.mark.parametrize("place", [12, 30, 40, 2000, -5, -18])
def test_a_flipped_byte_anywhere_is_refused(tmp_path: Path, read: type, place: int) -> None:
    path = png(tmp_path / "a.png", noise())
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: the image is (damaged|truncated).* leave it out"):
        read(path)


@pytest.mark.parametrize("read", [read_image, check_image])
def test_a_hole_in_the_pixels_is_refused(tmp_path: Path, read: type) -> None:
    path = png(tmp_path / "a.png", noise())
    content = path.read_bytes()
    path.write_bytes(content[:2000] + content[2400:])
    with pytest.raises(UserError, match=r"a\.png: the image is damaged"):
        read(path)


def test_pixels_that_their_writer_left_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(claiming(png_bytes(noise()[:30]), 64, 64))
    check_image(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: the image is damaged"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("after", [40, 5000])
def test_bytes_after_the_end_do_no_harm(tmp_path: Path, read: type, after: int) -> None:
    path = png(tmp_path / "a.png", noise())
    path.write_bytes(path.read_bytes() + b"x" * after)
    read(path)


def test_an_alpha_channel_is_left_out(tmp_path: Path) -> None:
    grey, alpha = noise(), noise(1)
    path = png(tmp_path / "a.png", np.dstack([grey, grey, grey, alpha]))
    np.testing.assert_array_equal(read_image(path), grey)
    path.write_bytes(png_bytes(np.dstack([grey, alpha]), colour=4))
    np.testing.assert_array_equal(read_image(path), grey)


def test_a_palette_of_greys_is_read_as_greys(tmp_path: Path) -> None:
    greys = bytes(value for level in range(256) for value in (level, level, level))
    (tmp_path / "a.png").write_bytes(png_bytes(noise(), colour=3, more=chunk(b"PLTE", greys)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise())


def test_an_interlaced_image_is_read(tmp_path: Path) -> None:
    """One pixel is its own first pass of Adam7, so the file is easily written."""
    (tmp_path / "a.png").write_bytes(png_bytes(noise()[:1, :1], interlace=1))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise()[:1, :1])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("height", "width"), [(60_000, 60_000), (1, 2**30), (2**31 - 1, 2**31 - 1), (0, 64)])
def test_a_size_that_no_image_has_is_refused_before_memory_is_asked_for(
    tmp_path: Path, read: type, height: int, width: int
) -> None:
    (tmp_path / "a.png").write_bytes(claiming(png_bytes(noise()), height, width))
    with pytest.raises(UserError, match=rf"a\.png: its header says {height} x {width} px, expected 1 to 16384"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
def test_a_format_that_is_not_read_is_named(tmp_path: Path, read: type) -> None:
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"a\.png: is by its content a GIF file, expected PNG.*\. Convert"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
def test_a_folder_with_the_name_of_an_image_is_refused(tmp_path: Path, read: type) -> None:
    with pytest.raises(UserError, match=r"the image cannot be read \(Is a directory\)"):
        read(tmp_path)
