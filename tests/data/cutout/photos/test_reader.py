"""Every kind of file that people have gives the right pixels, or one sentence."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from data.cutout.photos.colours import to_srgb
from data.cutout.photos.head import look_at_photo, turn_upright
from data.cutout.photos.reader import Photograph, read_photo
from data.cutout.task import foreground
from data.image import ORIENTATION
from data.sample import Sample
from tests.data.cutout.photos.profiles import cmyk_profile, grey_profile
from utils.errors import UserError

SIZE_HW = (24, 40)
STORED_AS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
"""EXIF's orientation → the one that turns an upright picture into what a camera stores then."""
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def colours(size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """uint8[H, W, 3]: smooth, each channel another slope."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    return np.stack([6 * columns, 250 - 9 * rows, 3 * columns + 4 * rows], axis=2).clip(0, 255).astype(np.uint8)


def slope() -> np.ndarray:
    """An alpha uint8[H, W] of all values from 0 to 255."""
    return np.linspace(0, 255, SIZE_HW[0] * SIZE_HW[1]).astype(np.uint8).reshape(SIZE_HW)


def saved(path: Path, image: Any, **options: Any) -> Photograph:
    """Write an image of Pillow, or pixels, and read it as a photograph."""
    picture = PillowImage.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(path, **options)
    photo = read_photo(path)
    assert look_at_photo(path).shown_hw == photo.pixels.shape[:2], "the head says the size without decoding"
    assert photo.pixels.flags.c_contiguous
    return photo


def picture(mode: str = "RGB") -> PillowImage.Image:
    return PillowImage.fromarray(colours()).convert(mode)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_a_photograph_is_upright_however_the_camera_was_held(suffix: str, orientation: int, tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    stored = np.dstack([turn_upright(colours(), STORED_AS[orientation]), turn_upright(slope(), STORED_AS[orientation])])
    for pixels in (stored[..., :3], stored):
        options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {"dpi": (300, 150)}
        photo = saved(tmp_path / f"a{suffix}", np.ascontiguousarray(pixels), exif=exif, **options)
        assert np.array_equal(photo.pixels, colours())
        assert (photo.own_alpha is None) == (pixels.shape[2] == 3)
        if photo.own_alpha is not None:
            assert np.array_equal(photo.own_alpha, slope())
        if suffix != ".webp":
            assert photo.notes.dpi == pytest.approx((300, 150) if orientation < 5 else (150, 300), rel=1e-3)


OPAQUE: dict[str, Callable[[], tuple[str, Any, dict[str, Any]]]] = {
    "BMP": lambda: ("a.bmp", picture(), {}),
    "TIFF": lambda: ("a.tiff", picture(), {"compression": "tiff_lzw"}),
    "16 bits": lambda: ("a.png", None, {"deep": True}),
    "TIFF of 16 bits": lambda: ("a.tif", None, {"deep": True}),
    "APNG": lambda: ("a.png", picture(), {"save_all": True, "append_images": [picture().rotate(180)]}),
    "CMYK": lambda: ("a.tif", picture("CMYK"), {}),
}
"""Files without loss → their name, the image, and options to save it with."""


@pytest.mark.parametrize("kind", OPAQUE)
def test_what_is_stored_without_loss_is_read_without_loss(kind: str, tmp_path: Path) -> None:
    name, image, options = OPAQUE[kind]()
    if options.pop("deep", False):
        cv2.imwrite(str(tmp_path / name), colours()[..., ::-1].astype(np.uint16) * 257)
        photo = read_photo(tmp_path / name)
    else:
        photo = saved(tmp_path / name, image, **options)
    assert np.array_equal(photo.pixels, colours())
    assert photo.own_alpha is None
    expected = {"16": "16 bits per channel become 8", "AP": "animated, only its", "CM": "CMYK becomes sRGB"}
    doubt = look_at_photo(tmp_path / name).doubt
    words = next((words for part, words in expected.items() if part in kind), None)
    assert (doubt or "").startswith(words or "")
    assert (doubt is None) == (words is None)


@pytest.mark.parametrize("kind", ["jfif", "CMYK", "MPO", "GIF", "webp"])
def test_what_is_stored_with_loss_is_nearly_the_same(kind: str, tmp_path: Path) -> None:
    others = [picture().rotate(180)]
    files: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "jfif": ("a.jfif", picture(), {"format": "JPEG"}),
        "CMYK": ("a.jpg", picture("CMYK"), {"quality": 98}),  # stored inverted, as Adobe does
        "MPO": ("a.jpg", picture(), {"format": "MPO", "save_all": True, "append_images": others}),
        "GIF": ("a.gif", picture().quantize(256), {"save_all": True, "append_images": others}),
        "webp": ("a.webp", picture(), {"save_all": True, "append_images": others, "quality": 95}),
    }
    name, image, options = files[kind]
    photo = saved(tmp_path / name, image, **options)
    assert np.abs(photo.pixels.astype(int) - colours()).mean() < 6
    assert photo.own_alpha is None
    doubt = look_at_photo(tmp_path / name).doubt
    assert doubt == {"jfif": None, "MPO": None, "CMYK": "CMYK becomes sRGB"}.get(
        kind, "animated, only its first picture is read"
    )


@pytest.mark.parametrize("mode", ["L", "1", "P", "I;16"])
def test_grey_values_and_palettes_become_rgb(mode: str, tmp_path: Path) -> None:
    if mode == "I;16":
        grey = np.asarray(picture("L"))
        cv2.imwrite(str(tmp_path / "a.png"), grey.astype(np.uint16) * 257)
        assert np.array_equal(read_photo(tmp_path / "a.png").pixels, grey[..., None].repeat(3, axis=2))
        return
    image = picture().quantize(16) if mode == "P" else picture(mode)
    assert np.array_equal(saved(tmp_path / "a.png", image).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "16 bits"])
def test_an_alpha_is_read_beside_the_colours(mode: str, tmp_path: Path) -> None:
    """`P`, `RGB`: one colour is marked as transparent."""
    path = tmp_path / "a.png"
    if mode == "16 bits":
        cv2.imwrite(str(path), np.dstack([colours()[..., ::-1], slope()]).astype(np.uint16) * 257)
        photo, expected, alpha = read_photo(path), colours(), slope()
    elif mode in ("P", "RGB"):
        image = picture().quantize(8) if mode == "P" else picture()
        one = 3 if mode == "P" else tuple(map(int, colours()[5, 5]))
        photo = saved(path, image, transparency=one)
        expected = np.asarray(image.convert("RGB"))
        stored = np.asarray(image)
        alpha = np.where(stored == one if mode == "P" else (stored == one).all(2), 0, 255)
    else:
        image = picture(mode[:-1])
        image.putalpha(PillowImage.fromarray(slope()))
        photo, expected, alpha = saved(path, image), np.asarray(picture(mode[:-1]).convert("RGB")), slope()
    assert np.array_equal(photo.pixels, expected)
    assert photo.own_alpha is not None
    assert np.array_equal(photo.own_alpha, alpha)
    halved = photo.alpha_with(np.full(SIZE_HW, 128, np.uint8))
    assert np.abs(halved - alpha * (128 / 255)).max() <= 0.5


def test_an_opaque_alpha_is_none(tmp_path: Path) -> None:
    photo = saved(tmp_path / "a.png", picture("RGBA"))
    assert photo.own_alpha is None
    assert photo.alpha_with(slope()) is not None
    assert np.array_equal(photo.alpha_with(slope()), slope())


def test_inks_are_converted_by_their_profile(tmp_path: Path) -> None:
    inks = np.zeros((*SIZE_HW, 4), np.uint8)
    inks[:, 10:20, 0] = inks[:, 20:, 3] = 255
    image = PillowImage.fromarray(inks, "CMYK")
    for name in ("a.tif", "a.jpg"):
        photo = saved(
            tmp_path / name, image, icc_profile=cmyk_profile(), **({"quality": 98} if name == "a.jpg" else {})
        )
        paper, cyan, black = (photo.pixels[12, column].astype(int) for column in (4, 15, 30))
        assert np.abs(paper - 255).max() <= 4
        assert np.abs(black).max() <= 8
        assert np.abs(cyan - (234, 95, 77)).max() <= 16, "CYAN_LAB in sRGB"
        assert photo.notes.profile is None
    plain = saved(tmp_path / "plain.tif", image)
    assert plain.pixels[12, 15].tolist() == [0, 255, 255]


def test_grey_values_are_converted_by_their_profile(tmp_path: Path) -> None:
    grey = PillowImage.fromarray(np.full(SIZE_HW, 55, np.uint8))
    photo = saved(tmp_path / "a.png", grey, icc_profile=grey_profile())
    assert np.abs(photo.pixels.astype(int) - 128).max() <= 2, "light of 55 / 255 is 128 in sRGB"
    assert photo.notes.profile is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_profile_of_rgb_is_kept(suffix: str, tmp_path: Path) -> None:
    assert saved(tmp_path / f"a{suffix}", picture(), icc_profile=SRGB).notes.profile == SRGB
    assert saved(tmp_path / f"b{suffix}", picture(), icc_profile=b"garbage" * 30).notes.profile is None


def test_colours_of_another_profile_become_srgb(caplog: pytest.LogCaptureFixture) -> None:
    assert np.abs(to_srgb(colours(), SRGB).astype(int) - colours()).max() <= 1
    damaged = SRGB[:200]
    assert np.array_equal(to_srgb(colours(), damaged), colours())
    assert "an ICC profile is damaged" in caplog.text


@pytest.mark.parametrize("size_hw", [(1, 1), (40, 3000), (3000, 2)])
def test_any_size_is_read(size_hw: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    assert np.array_equal(saved(tmp_path / "a.png", pixels).pixels, pixels)
    assert saved(tmp_path / "b.png", PillowImage.fromarray(pixels).convert("RGBA")).pixels.shape == pixels.shape


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that claims to be so large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


BAD: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", r"empty\.jpg: the file is empty\. Copy it again"),
    "text.jpg": (b"hello, this is text\n" * 20, r"text\.jpg: is no image that can be read\. Save it as JPEG, PNG"),
    "report.png": (b"%PDF-1.4\n" + bytes(999), "is no image that can be read"),
    "bomb.png": (bomb(30_000, 30_000), r"has more than 178 megapixels\. Make it smaller"),
    "long.png": (bomb(20_000, 1), "20000 x 1 px, expected at most 16384 a side"),
    "photo.heic": (
        b"\0\0\0\x18ftypheic" + bytes(99),
        "is a HEIC image, which needs a further library: pip install pill",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_photograph_is_one_sentence(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    for read in (look_at_photo, read_photo):
        with pytest.raises(UserError, match=words):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_a_truncated_file_is_one_sentence(suffix: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if mode == "RGBA" and suffix in (".jpg", ".bmp"):
        return
    if mode == "CMYK" and suffix not in (".jpg", ".tif"):
        return
    picture(mode).resize((200, 120)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"is truncated|cannot be decoded|is no image that can be read"):
        read_photo(path)


def test_32_bits_and_absent_files_are_one_sentence(tmp_path: Path) -> None:
    for kind in (np.float32, np.int32):
        PillowImage.fromarray(np.zeros(SIZE_HW, kind)).save(tmp_path / "a.tif")
        with pytest.raises(UserError, match=r"a\.tif: 32 bits per channel, expected 8 or 16"):
            read_photo(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"none\.png: the image cannot be read \(No such file or directory\)"):
        read_photo(tmp_path / "none.png")


def test_a_check_says_what_is_not_read(tmp_path: Path) -> None:
    picture("CMYK").save(tmp_path / "a.tif")
    assert foreground.check(Sample("a", "a", tmp_path / "a.tif")) == "CMYK becomes sRGB"
