"""What every kind of picture and every format of the tables promises."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from benchmarks.scenes import draw_scene
from data.cutout.photos.reader import Photograph
from data.cutout.pictures import FORMATS, PICTURES, Bands, Format, Notes, Picture
from data.cutout.pictures.base import finish
from data.cutout.pictures.grounds import blurred_ground, filling
from data.refine import object_colours
from utils.arrays import Bytes, Image
from utils.errors import UserError
from utils.pictures import DARK, LIGHT

SIZE_HW = (48, 64)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOTES = Notes(PROFILE, (300, 200))


@pytest.fixture(params=list(PICTURES))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Picture:
    file = tmp_path / "ground.png"
    PillowImage.fromarray(noise((20, 90, 3))).save(file)
    parameters: dict[str, dict[str, Any]] = {"picture": {"file": str(file)}}
    return PICTURES[request.param](**parameters.get(request.param, {}))


def noise(shape: tuple[int, ...], seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def channels_of(pixels: Bytes) -> int:
    return 1 if pixels.ndim == 2 else pixels.shape[2]


@pytest.mark.parametrize("size_hw", [SIZE_HW, (1, 1), (1, 40), (300, 4)])
def test_a_picture_has_the_photographs_size_and_changes_nothing_given(kind: Picture, size_hw: tuple[int, int]) -> None:
    given = noise((*size_hw, 3)), noise(size_hw, 1), noise((*size_hw, 3), 2)
    before = [array.copy() for array in given]
    drawn = kind.draw(*given)
    assert drawn.dtype == np.uint8
    assert channels_of(drawn) == kind.channels
    assert drawn.shape[:2] == size_hw or sum(drawn.shape[:2]) > sum(size_hw), "but for a sheet, which holds three"
    assert all(np.array_equal(array, copy) for array, copy in zip(given, before, strict=True))
    assert np.array_equal(drawn, kind.draw(*given))


def test_what_is_opaque_has_the_photographs_colours_and_what_is_not_has_none_of_the_objects(kind: Picture) -> None:
    photo, alpha = noise((*SIZE_HW, 3)), np.zeros(SIZE_HW, np.uint8)
    alpha[10:40, 20:50] = 255
    drawn, other = (kind.draw(photo, alpha, colours) for colours in (photo, np.where(alpha[..., None], photo, 99)))
    if kind.channels == 1:
        assert np.array_equal(drawn, alpha)
    elif drawn.shape[:2] == SIZE_HW:
        assert np.array_equal(drawn[alpha == 255][:, :3], photo[alpha == 255])
        if kind.channels == 4:
            assert np.array_equal(drawn[..., 3], alpha)
        else:
            assert np.array_equal(drawn, other)


def test_over_a_colour_edges_are_the_mixture(tmp_path: Path) -> None:
    colours, alpha = noise((*SIZE_HW, 3)), noise(SIZE_HW, 1)
    expected = np.round(colours * (alpha / 255)[..., None] + np.array([255, 128, 0]) * (1 - alpha / 255)[..., None])
    for text in ("#ff8000", "ff8000", "rgb(255, 128, 0)"):
        drawn = PICTURES["colour"](colour=text).draw(colours, alpha, colours)
        assert np.abs(drawn - expected).max() == 0
    assert PICTURES["colour"]().draw(colours, alpha * 0, colours).min() == 255
    with pytest.raises(UserError, match=r"'whit' is no colour\. Write its name"):
        PICTURES["colour"](colour="whit")
    with pytest.raises(UserError, match=r"none\.png: the image cannot be read"):
        PICTURES["picture"](file=str(tmp_path / "none.png"))


@pytest.mark.parametrize("size_hw", [(40, 40), (20, 80), (80, 20), (200, 200)])
def test_a_picture_behind_fills_the_frame_from_its_middle_and_is_not_distorted(size_hw: tuple[int, int]) -> None:
    ground = np.zeros((60, 100, 3), np.uint8)
    cv2.circle(ground, (50, 30), 6, (255, 255, 255), -1, cv2.LINE_AA)
    filled = filling(ground, size_hw)
    rows, columns = np.nonzero(filled[..., 0] > 127)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert filled.shape == (*size_hw, 3)
    assert abs(height - width) <= 1
    assert height == pytest.approx(13 * max(size_hw[0] / 60, size_hw[1] / 100), rel=0.15)
    assert abs(rows.mean() - size_hw[0] / 2) <= 2
    assert abs(columns.mean() - size_hw[1] / 2) <= 2


@pytest.mark.parametrize("strength", [0.003, 0.015, 0.1])
def test_the_blurred_ground_contains_nothing_of_the_object(strength: float) -> None:
    alpha = np.zeros((120, 160), np.uint8)
    cv2.circle(alpha, (80, 60), 35, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, None, 0.8))
    share = (alpha / 255)[..., None]
    gradient = np.linspace(40, 90, 160)[None, :, None] * np.ones((120, 1, 3)) * [0, 0.5, 1]
    photo = np.asarray(np.round(share * [255, 0, 0] + (1 - share) * gradient), np.uint8)
    ground = blurred_ground(photo, alpha, strength)
    assert ground[..., 0].max() <= 1, "the object is red, and nothing else is"
    far = alpha == 0
    error = np.abs(ground.astype(float) - gradient)[far]
    assert error.mean() < 6
    # And it is the ground, blurred: details are gone.
    speckled = np.where(far[..., None], np.clip(photo + 40.0 * (noise((120, 160, 1)) > 127), 0, 255), photo)
    assert blurred_ground(speckled.astype(np.uint8), alpha, 0.05)[far][:, 0].std() < 0.2 * speckled[far][:, 0].std()


def test_without_a_ground_the_photograph_itself_is_blurred() -> None:
    photo = noise((*SIZE_HW, 3))
    assert np.abs(blurred_ground(photo, np.full(SIZE_HW, 255, np.uint8), 0.1).mean() - photo.mean()) < 6


def test_a_sheet_shows_photograph_object_and_mask() -> None:
    scene = draw_scene("soft disc", "wood", 1, SIZE_HW)
    alpha = np.asarray(np.round(scene.alpha * 255), np.uint8)
    drawn = PICTURES["sheet"](square_px=4).draw(scene.picture, alpha, object_colours(scene.picture, alpha))
    height, width = SIZE_HW
    assert drawn.shape == (height, 3 * width + 16, 3)
    assert np.array_equal(drawn[:, :width], scene.picture)
    assert np.array_equal(drawn[:, -width:, 0], alpha)
    assert (drawn[0, width + 8], drawn[0, width + 12]) == (pytest.approx([LIGHT] * 3), pytest.approx([DARK] * 3))
    wide = PICTURES["sheet"](part_px=50).draw(noise((40, 3000, 3)), noise((40, 3000)), noise((40, 3000, 3)))
    assert wide.shape == (3 * 1 + 16, 50, 3)


def test_in_bands_a_picture_is_the_same(kind: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = draw_scene("hair", "wood", 1, SIZE_HW)
    photo, mask = Photograph(scene.picture), np.asarray(np.round(scene.alpha * 255), np.uint8)
    whole = finish(kind, photo, mask, own_colours=True)[0]
    expected, file = whole.pixels, FORMATS["png"]().encode(whole, Notes())
    monkeypatch.setattr("data.cutout.pictures.base.BAND_ROWS", 7)
    in_bands = finish(kind, photo, mask, own_colours=True)[0]
    assert len(list(in_bands)) == -(-len(expected) // 7)
    assert np.abs(in_bands.pixels.astype(int) - expected).max() <= 1, "the colours of a soft edge may be rounded"
    assert channels_of(expected) == 1 or np.array_equal(in_bands.pixels[..., -1], expected[..., -1])
    monkeypatch.setattr("data.cutout.pictures.formats.AT_ONCE_BYTES", 0)
    assert opened(FORMATS["png"]().encode(whole, Notes())) == opened(file)


def opened(content: bytes) -> PillowImage.Image:
    image = PillowImage.open(BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_file_has_the_pixels_the_profile_and_the_resolution(name: str, channels: int) -> None:
    file_format: Format = FORMATS[name]()
    if channels == 4 and not file_format.takes_alpha:
        return
    pixels = np.asarray(cv2.GaussianBlur(noise((*SIZE_HW, channels)), None, 3)).reshape(*SIZE_HW, channels)
    pixels = pixels[..., 0] if channels == 1 else pixels
    image = opened(file_format.encode(Bands.of(pixels), NOTES))
    read = np.asarray(image if channels > 1 else image.convert("L"))
    assert np.abs(read.astype(int) - pixels).max() <= (24 if name == "jpeg" else 0)
    assert image.info["icc_profile"] == PROFILE
    if name != "webp":
        assert image.info["dpi"] == pytest.approx(NOTES.dpi, rel=1e-3)
    plain = opened(file_format.encode(Bands.of(pixels), Notes()))
    assert "icc_profile" not in plain.info


def test_quality_decides_the_size_of_a_file() -> None:
    pixels: Image = noise((*SIZE_HW, 3))
    for name in ("webp", "jpeg"):
        sizes = [len(FORMATS[name](quality=quality).encode(Bands.of(pixels), Notes())) for quality in (10, 95)]
        assert sizes[0] < 0.5 * sizes[1]
    soft = noise((*SIZE_HW, 4))
    read = np.asarray(opened(FORMATS["webp"](quality=10).encode(Bands.of(soft), Notes())))
    assert np.array_equal(read[..., 3], soft[..., 3]), "the alpha is kept without loss"


def test_what_a_format_cannot_hold_is_one_sentence() -> None:
    with pytest.raises(UserError, match="a WebP has at most 16383 pixels a side"):
        FORMATS["webp"]().encode(Bands.of(np.zeros((1, 16384), np.uint8)), Notes())
