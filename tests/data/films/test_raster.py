from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import TiffImagePlugin

from data.films.depth import in_8_bits
from data.films.reader import check_image, image_size, read_image
from tests.dicoms import noise
from utils.errors import UserError

READERS = [read_image, image_size, check_image]
LOSSLESS: dict[str, dict[str, Any]] = {
    "a.tif": {},
    "b.tiff": {"compression": "tiff_lzw"},
    "c.bmp": {},
    "d.webp": {"lossless": True},
    "e.png": {},
}


def written(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    PillowImage.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_give_the_pixels_that_were_written(tmp_path: Path, name: str, channels: int) -> None:
    pixels = noise() if channels == 1 else np.dstack([noise()] * 3)
    path = written(tmp_path / name, pixels, **LOSSLESS[name])
    np.testing.assert_array_equal(read_image(path), noise())
    assert image_size(path) == noise().shape
    assert check_image(path) == (noise().shape, 1)


def test_a_jpeg_is_read_up_to_its_loss_whatever_its_name(tmp_path: Path) -> None:
    smooth = cv2.resize(noise(8, (3, 5)), (40, 24), interpolation=cv2.INTER_LINEAR)
    path = written(tmp_path / "a.jpg", smooth, quality=95)
    assert np.abs(read_image(path).astype(int) - smooth).max() < 12
    named_otherwise = path.rename(tmp_path / "a.png")
    assert image_size(named_otherwise) == read_image(named_otherwise).shape == (24, 40)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [12, 16])
def test_deep_files_become_8_bits_by_one_rule(tmp_path: Path, suffix: str, bits: int) -> None:
    grey = noise(bits)
    for pixels in (grey, np.dstack([grey] * 3)):
        cv2.imwrite(str(tmp_path / f"a{suffix}"), pixels)
        np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), in_8_bits(grey))
        assert image_size(tmp_path / f"a{suffix}") == grey.shape
    cv2.imwrite(str(tmp_path / f"b{suffix}"), noise().astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / f"b{suffix}"), noise())


def test_a_tiff_in_which_0_is_white_is_inverted(tmp_path: Path) -> None:
    entries = TiffImagePlugin.ImageFileDirectory_v2()
    entries[262] = 0
    # Pillow inverts 8 bits on writing, and writes 16 as they are.
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.tif", noise(), tiffinfo=entries)), noise())
    path = written(tmp_path / "b.tif", noise(16), tiffinfo=entries)
    np.testing.assert_array_equal(read_image(path), 255 - in_8_bits(noise(16)))


def test_a_tiff_of_12_packed_bits_is_read_as_one_of_12_in_16(tmp_path: Path) -> None:
    values = noise(12, (4, 8)).astype(int) % 1000  # darker than the largest value: the file says that it has 12 bits
    pairs = values.reshape(-1, 2)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    entries = {256: 8, 257: 4, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1, 278: 4, 279: len(packed)}
    head = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in entries.items())
    content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + head + b"\0\0\0\0"
    assert len(content) == 122
    (tmp_path / "a.tif").write_bytes(content + packed)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), in_8_bits(values.astype(np.uint16), 12))


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_read_as_they_are_stored(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    plain = read_image(written(tmp_path / f"plain{suffix}", noise()))
    path = written(tmp_path / f"turned{suffix}", noise(), exif=exif)
    np.testing.assert_array_equal(read_image(path), plain)
    assert image_size(path) == plain.shape
    assert check_image(path) == (plain.shape, orientation)


@pytest.mark.parametrize("read", READERS)
def test_a_file_with_several_pictures_is_refused(tmp_path: Path, read: type) -> None:
    pages = [PillowImage.fromarray(noise()) for _ in range(3)]
    path = written(tmp_path / "a.tif", noise(), save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match=r"a\.tif: holds 3 pictures, expected one\. Save the one that counts"):
        read(path)


@pytest.mark.parametrize("pixels", [noise().astype(np.float32), noise().astype(np.int32) - 100])
def test_other_numbers_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"a\.tif: its values are of type \w+, expected 8 or 16 bits without sign"):
        read_image(written(tmp_path / "a.tif", pixels))


def test_colours_for_printing_are_refused(tmp_path: Path) -> None:
    PillowImage.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: its colours are stored as CMYK, expected grey or RGB"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("read", [read_image, check_image])
@pytest.mark.parametrize("name", [name for name in LOSSLESS if not name.endswith("png")])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_a_file_that_lacks_its_end_is_refused(tmp_path: Path, read: type, name: str, share: float) -> None:
    path = written(tmp_path / name, noise(), **LOSSLESS[name])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"the image is (damaged|truncated)"):
        read(path)
