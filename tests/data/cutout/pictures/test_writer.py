"""Finished pictures on disk: as they are configured, with what the photograph's file says, and read again."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from configs.blocks.prediction import Predict
from data.cutout.output import configured, read_cutouts
from data.cutout.pictures import FORMATS, PICTURES
from data.sample import Sample
from data.task import Output
from data.tasks import TASKS
from runtime.outputs import refuse_output
from runtime.settings import with_pictures
from utils.errors import UserError

SIZE_HW = (24, 40)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def output_of(**predict: Any) -> Output:
    return with_pictures(TASKS["foreground"], Predict(**predict)).output


def alpha() -> np.ndarray:
    return np.linspace(0, 255, SIZE_HW[0] * SIZE_HW[1]).astype(np.uint8).reshape(SIZE_HW)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A photograph with an alpha of its own, a profile and a resolution."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[:, :20, 3] = 100
    PillowImage.fromarray(pixels).save(tmp_path / "photo.png", icc_profile=SRGB, dpi=(300, 300))
    return Sample("photo", "photo", tmp_path / "photo.png")


def write(output: Output, target: Path, sample: Sample) -> PillowImage.Image:
    refuse_output(output, target, [sample], sample.image)
    with output.open(target, [sample], "origin", 1) as writer:
        writer.write_mask(sample.name, alpha()[..., None])
    path = target if target.is_file() else next(path for path in target.iterdir() if path.name[0] != ".")
    return PillowImage.open(BytesIO(path.read_bytes()))


@pytest.mark.parametrize(
    ("predict", "name", "kind", "mode"),
    [
        ({}, "out", "PNG", "RGBA"),
        ({}, "a.webp", "WEBP", "RGBA"),
        ({"format": "webp"}, "out", "WEBP", "RGBA"),
        ({"picture": "mask"}, "a.jpg", "JPEG", "L"),
        ({"picture": "mask"}, "out", "PNG", "L"),
        ({"picture": "blur", "format": "jpeg"}, "a.jpeg", "JPEG", "RGB"),
        (
            {"picture": {"name": "colour", "colour": "red"}, "format": {"name": "webp", "quality": 80}},
            "out",
            "WEBP",
            "RGB",
        ),
    ],
)
def test_files_are_as_configured(
    predict: dict[str, Any], name: str, kind: str, mode: str, sample: Sample, tmp_path: Path
) -> None:
    written = write(output_of(**predict), tmp_path / name, sample)
    assert (written.format, written.mode, written.size) == (kind, mode, SIZE_HW[::-1])
    # Colours that are not the photograph's are sRGB, and a mask has no colours.
    assert ("icc_profile" in written.info) == (mode != "L" and "colour" not in str(predict))
    if kind != "WEBP":
        assert written.info["dpi"] == pytest.approx((300, 300), rel=1e-3)


def test_the_alpha_of_the_file_is_multiplied_in(sample: Sample, tmp_path: Path) -> None:
    expected = alpha() * np.where(np.arange(SIZE_HW[1]) < 20, 100 / 255, 1)
    for picture in ("rgba", "mask"):
        written = write(output_of(picture=picture), tmp_path / picture, sample)
        found = np.asarray(written if picture == "mask" else written.getchannel("A"))
        assert np.abs(found - expected).max() <= 0.5
    black = output_of(picture={"name": "colour", "colour": "#000000"}, own_colours=False)
    over = np.asarray(write(black, tmp_path / "over.png", sample))
    colours = np.asarray(PillowImage.open(BytesIO(sample.image.read_bytes())).convert("RGB"))
    assert np.abs(over - colours * (np.round(expected) / 255)[..., None]).max() <= 1


@pytest.mark.parametrize(
    ("predict", "name", "words"),
    [
        ({}, "a.jpg", r"a picture of this kind is written as \.png or \.webp, not as \.jpg\. Name a folder, or"),
        ({"format": "webp"}, "a.png", r"is written as \.webp, not as \.png"),
        ({"picture": "blur", "format": "jpeg"}, "a.png", r"is written as \.jpg or \.jpeg, not as \.png"),
        ({"format": "jpeg"}, "out", r"predict\.format: a JPEG holds no alpha\. Take png or webp, or"),
        ({"picture": {"name": "colour", "colour": "whit"}}, "out", r"'whit' is no colour"),
        ({}, "photo.png", r"photo\.png: is read as well, and would be overwritten"),
        ({}, ".", "lies in the folder of the images|would be overwritten"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    predict: dict[str, Any], name: str, words: str, sample: Sample, tmp_path: Path
) -> None:
    before = sample.image.read_bytes()
    with pytest.raises(UserError, match=words):
        write(output_of(**predict), tmp_path / name, sample)
    assert sample.image.read_bytes() == before


@pytest.mark.parametrize("key", ["picture", "format"])
def test_bones_are_no_pictures(key: str) -> None:
    with pytest.raises(UserError, match=rf"predict\.{key}: task 'hand_bone' writes no pictures\. Leave the key out"):
        with_pictures(TASKS["hand_bone"], Predict.model_validate({key: "mask" if key == "picture" else "png"}))


@pytest.mark.parametrize(
    "predict", [{}, {"picture": "mask"}, {"format": "webp"}, {"picture": "mask", "format": "webp"}]
)
def test_the_alpha_is_read_again(predict: dict[str, Any], sample: Sample, tmp_path: Path) -> None:
    output = output_of(**predict)
    write(output, tmp_path / "out", sample)
    assert output.alpha_of is not None
    found = output.alpha_of(tmp_path / "out", "photo")
    assert np.abs(found - alpha() * np.where(np.arange(SIZE_HW[1]) < 20, 100 / 255, 1)).max() <= 0.5
    assert read_cutouts(tmp_path / "out").sizes == {"photo": SIZE_HW}


@pytest.mark.parametrize("format_name", FORMATS)
def test_pictures_without_alpha_cannot_be_scored(format_name: str, sample: Sample, tmp_path: Path) -> None:
    write(configured(PICTURES["blur"](), FORMATS[format_name](), own_colours=False), tmp_path / "out", sample)
    with pytest.raises(
        UserError, match=r"(no|without) alpha.* [Pp]redict .*with predict\.picture=rgba or predict\.picture=mask"
    ):
        read_cutouts(tmp_path / "out")


def test_a_webp_that_is_opaque_everywhere_is_not_guessed_to_be_a_cut_out(sample: Sample, tmp_path: Path) -> None:
    PillowImage.open(BytesIO(sample.image.read_bytes())).convert("RGB").save(sample.image)
    for name in ("png", "webp"):
        with output_of(format=name).open(tmp_path / name, [sample], "origin", 1) as writer:
            writer.write_mask(sample.name, np.full((*SIZE_HW, 1), 255, np.uint8))
    assert output_of().alpha_of(tmp_path / "png", "photo").min() == 255  # type: ignore[misc]
    with pytest.raises(UserError, match=r"opaque everywhere: WebP then leaves the alpha out\. Predict again .* as PNG"):
        read_cutouts(tmp_path / "webp")


def test_two_files_of_one_name_are_not_scored(sample: Sample, tmp_path: Path) -> None:
    for name in ("png", "webp"):
        write(output_of(format=name), tmp_path / "out", sample)
    with pytest.raises(UserError, match=r"photo\.webp: there are two files called photo\. Remove the one"):
        read_cutouts(tmp_path / "out")
