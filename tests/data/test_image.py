from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.films.reader import read_image
from data.image import read_grey, read_rgb
from utils.arrays import Image
from utils.errors import UserError

Read = Callable[[Path], Image]
READERS = [read_grey, read_rgb]
LOSSLESS = [".png", ".bmp", ".tiff"]
LOSSY = [".jpg", ".webp"]


def written(path: Path, pixels: np.ndarray) -> Path:
    """`pixels` grey or RGB."""
    cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[:, :, ::-1])
    return path


def colours() -> np.ndarray:
    """uint8[24, 32, 3]: smooth, each channel another slope, so that lossy formats keep it."""
    rows, columns = np.mgrid[:24, :32]
    return np.stack([8 * columns, 255 - 10 * rows, 4 * columns + 4 * rows], axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colours_are_read_in_the_order_red_green_blue(tmp_path: Path, suffix: str) -> None:
    image = read_rgb(written(tmp_path / f"a{suffix}", colours()))
    np.testing.assert_array_equal(image, colours())
    assert image.flags.c_contiguous


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_are_read_up_to_their_loss(tmp_path: Path, suffix: str) -> None:
    image = read_rgb(written(tmp_path / f"a{suffix}", colours()))
    assert np.abs(image.astype(int) - colours()).mean() < 6


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_grey_values_are_read_as_they_are_or_three_times(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", colours()[:, :, 0])
    np.testing.assert_array_equal(read_grey(path), colours()[:, :, 0])
    np.testing.assert_array_equal(read_rgb(path), np.repeat(colours()[:, :, :1], 3, axis=2))


def test_colours_become_their_luma(tmp_path: Path) -> None:
    grey = read_grey(written(tmp_path / "a.png", colours()))
    assert np.abs(grey - colours() @ [0.299, 0.587, 0.114]).max() <= 1


@pytest.mark.parametrize("read", READERS)
def test_an_alpha_channel_is_left_out(tmp_path: Path, read: Read) -> None:
    opaque = read(written(tmp_path / "a.png", colours()))
    cv2.imwrite(str(tmp_path / "b.png"), np.dstack([colours()[:, :, ::-1], colours()[:, :, 0]]))
    np.testing.assert_array_equal(read(tmp_path / "b.png"), opaque)


@pytest.mark.parametrize("read", READERS)
def test_a_rotation_that_a_camera_noted_is_applied(tmp_path: Path, read: Read) -> None:
    """Orientation 6: the camera was turned, and the picture is shown upright after a quarter turn clockwise."""
    path = written(tmp_path / "a.jpg", colours())
    upright = np.rot90(read(path), -1)
    content = path.read_bytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + content[2:])
    np.testing.assert_array_equal(read(path), upright)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_more_than_8_bits_are_refused(tmp_path: Path, read: Read, suffix: str) -> None:
    path = written(tmp_path / f"deep{suffix}", np.zeros((4, 4), np.uint16))
    with pytest.raises(UserError, match=rf"deep\{suffix}: 16 bits per channel, expected 8"):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_file_is_refused(tmp_path: Path, read: Read, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", colours())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"the image is truncated, its end is missing"):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [b"", b"hello, this is no image at all", b"\x89PNG\r\n\x1a\n IEND\xaeB`\x82"])
def test_what_is_no_image_is_refused(tmp_path: Path, read: Read, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: the image cannot be decoded: .* Save it as one of these, or leave"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
def test_an_absent_file_is_refused(tmp_path: Path, read: Read) -> None:
    with pytest.raises(UserError, match=r"absent\.png: the image cannot be read \(No such file or directory\)"):
        read(tmp_path / "absent.png")


@pytest.mark.parametrize("read", [*READERS, read_image])
def test_a_png_that_claims_gigabytes_is_refused_before_memory_is_filled_for_it(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(cv2.imencode(".png", colours())[1].tobytes())
    content[33:37] = b"\xff\x00\x00\x7f"  # the length of the chunk after the first
    (tmp_path / "a.png").write_bytes(content)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the file is given to OpenCV"))
    with pytest.raises(UserError, match=r"a\.png: the image .*damaged"):
        read(tmp_path / "a.png")
