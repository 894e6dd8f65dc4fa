from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.image import image_size, read_image
from utils.errors import UserError


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


@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize("kept", [0, 20, 60, -1, -12])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, read: type, kept: int) -> None:
    path = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"a\.png: .*(truncated|not a PNG)"):
        read(path)


@pytest.mark.parametrize("read", [read_image, image_size])
def test_an_absent_file_16_bits_and_other_formats_are_refused(tmp_path: Path, read: type) -> None:
    with pytest.raises(UserError, match=r"absent\.png: the image cannot be read"):
        read(tmp_path / "absent.png")
    with pytest.raises(UserError, match=r"deep\.png: 16 bits per channel"):
        read(png(tmp_path / "deep.png", np.zeros((4, 4), np.uint16)))
    (tmp_path / "text.png").write_text("hello, this is no image at all")
    with pytest.raises(UserError, match=r"text\.png: not a PNG"):
        read(tmp_path / "text.png")


def test_damage_inside_the_pixels_is_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: the image is damaged"):
        read_image(path)
