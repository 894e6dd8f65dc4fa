"""The library: every kind of file and of image, and results that agree with those of the programs."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file

import carpus
from data.masks import rle as packed_rle
from data.masks.packed import fill_polygons, pack
from data.refine import object_colours
from models import MODELS
from runtime.infer import infer_onnx
from tests.dicoms import dicom_bytes, noise
from tests.root import ROOT
from tests.runtime.networks import small_for, write_described
from tests.runtime.test_predictor import photo, radiograph


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    write_described(
        folder / "cut.onnx", small_for("foreground"), "foreground", predict={"refine": [{"name": "min_max"}]}
    )
    write_described(folder / "bones.onnx", small_for("hand_bone"), "hand_bone")
    cv2.imwrite(str(folder / "photo.png"), photo()[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> carpus.Model:
    return carpus.load(folder / "cut.onnx")


def pixels_of(path: Path) -> np.ndarray:
    with PillowImage.open(path) as picture:
        return np.asarray(picture)


def as_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "give",
    [
        lambda folder: folder / "photo.png",
        lambda folder: str(folder / "photo.png"),
        lambda folder: (folder / "photo.png").read_bytes(),
        lambda folder: PillowImage.open(folder / "photo.png"),
        lambda _: photo(),
    ],
    ids=["path", "text", "bytes", "pillow", "array"],
)
def test_every_kind_of_image_gives_the_same_cut_out(give: Any, folder: Path, model: carpus.Model) -> None:
    cut = model.cutout(give(folder))
    expected = infer_onnx(folder / "cut.onnx", folder / "photo.png", folder / "expected.png")
    written = cv2.cvtColor(cv2.imread(str(expected), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    np.testing.assert_array_equal(cut.rgba, written)
    assert cut.image.mode == "RGBA"
    assert cut.alpha.shape == (90, 131)


def test_a_film_unlike_those_trained_on_is_said_to_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    usual = {"brightness": 7.0, "brightness_spread": 0.05, "skew": 0.5, "skew_spread": 0.02}
    write_described(tmp_path / "bones.onnx", small_for("hand_bone"), "hand_bone", images=usual)
    bright = np.random.default_rng(0).exponential(60, (64, 64)).clip(0, 255).astype(np.uint8)
    (tmp_path / "dark.png").write_bytes(as_png(bright // 16))
    bones = carpus.load(tmp_path / "bones.onnx")
    assert bones.predict(bright).oddity is None
    assert not caplog.messages
    inverted, dark = bones.predict(255 - bright), bones.predict(tmp_path / "dark.png")
    assert inverted.oddity is not None
    assert inverted.oddity.startswith("it looks inverted")
    assert "times darker" in repr(dark)
    assert [line.partition(" looks unlike")[0] for line in caplog.messages] == [
        "the given image:",
        f"{tmp_path / 'dark.png'}:",
    ]
    from trainer.one_image import ImagePredictor

    as_trained = Mock(trained=Mock(weights=Mock(images=usual)), task=bones.predictor.task)
    assert ImagePredictor.oddity(as_trained, 255 - bright) == inverted.oddity


def test_grey_images_turned_ones_and_an_alpha_of_their_own_count(model: carpus.Model) -> None:
    grey = radiograph()
    expected = model.cutout(np.dstack([grey] * 3)).alpha
    np.testing.assert_array_equal(model.cutout(grey).alpha, expected)
    np.testing.assert_array_equal(model.cutout(PillowImage.fromarray(grey)).alpha, expected)
    hole = np.full(photo().shape[:2], 255, np.uint8)
    hole[:, :40] = 0
    with_hole = np.dstack([photo(), hole])
    for given in (with_hole, PillowImage.fromarray(with_hole), as_png(with_hole)):
        alpha = model.cutout(given).alpha
        assert not alpha[:, :40].any()
        np.testing.assert_array_equal(alpha[:, 40:], model.cutout(photo()).alpha[:, 40:])
    turned = PillowImage.fromarray(photo())
    turned.getexif()[0x0112] = 6
    assert model.cutout(turned).alpha.shape == (131, 90)


def test_finished_pictures_are_written_by_their_suffix(model: carpus.Model, tmp_path: Path) -> None:
    cut = model.cutout(photo())
    np.testing.assert_array_equal(pixels_of(cut.save(tmp_path / "a.png")), cut.rgba)
    seen = cut.alpha > 0  # WebP keeps no colours of invisible pixels
    np.testing.assert_array_equal(pixels_of(cut.save(tmp_path / "a.webp"))[seen], cut.rgba[seen])
    white = np.asarray(cut.picture("colour", colour="white")).astype(int)
    share = cut.alpha[..., None] / 255
    assert np.abs(white - (cut.colours * share + 255 * (1 - share))).max() <= 1
    on_disk = pixels_of(cut.save(tmp_path / "a.jpg", "colour", colour="white"))
    assert np.abs(on_disk.astype(int) - white).mean() < 4
    np.testing.assert_array_equal(cut.colours, object_colours(photo(), cut.alpha))
    assert PillowImage.open(io.BytesIO(cut._repr_png_())).size[1] == 90
    assert repr(cut).startswith("<Cutout 131 x 90 px, ")


def test_bones_have_masks_outlines_runs_and_an_overlay(folder: Path) -> None:
    found = carpus.load(folder / "bones.onnx", threshold=0.3).predict(radiograph())
    name = max(found.areas, key=lambda each: found.areas[each])
    mask = found.masks[name]
    assert mask.dtype == np.bool_
    assert mask.shape == (90, 131)
    assert 0 < mask.sum() == found.areas[name]
    assert ((found.probability(name) > 0.3) != mask).mean() < 1e-3
    np.testing.assert_array_equal(found.probabilities[found.classes.index(name)], found.probability(name))
    filled = fill_polygons([(0, ring) for ring in found.outlines[name]], mask.shape, 1)[..., 0]
    np.testing.assert_array_equal(filled != 0, mask)
    np.testing.assert_array_equal(carpus.rle.decode(found.rle[name], mask.shape), mask)
    assert found.rle[name] == packed_rle.to_text(packed_rle.encode(pack(mask[..., None]), 1)[0])
    assert found.overlay().size == (131, 90)
    assert repr(found) == f"<Segmentation 131 x 90 px, {sum(a > 0 for a in found.areas.values())} of 29 classes found>"
    assert found._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(carpus.UserError, match=r"'radius' is not a class of this network\. Did you mean 'Radius'"):
        found.probability("radius")


def test_every_kind_of_film_gives_the_same_bones(folder: Path) -> None:
    """A file of any lossless format, its bytes, and a picture or an array of 16 bits that are 8 widened."""
    model, film = carpus.load(folder / "bones.onnx"), noise()
    turned, wide = PillowImage.Exif(), film.astype(np.uint16) * 257
    turned[0x0112] = 6
    buffer = io.BytesIO()
    PillowImage.fromarray(film).save(buffer, "TIFF", exif=turned)
    (folder / "film").write_bytes(dicom_bytes(255 - film, kind="MONOCHROME1"))
    png = io.BytesIO()
    PillowImage.fromarray(film).save(png, "PNG", exif=turned)
    expected = model.predict(film).packed
    for given in (
        *(folder / "film", dicom_bytes(film), buffer.getvalue(), cv2.imencode(".tiff", wide)[1].tobytes()),
        *(PillowImage.fromarray(wide), wide, PillowImage.open(png)),
    ):
        np.testing.assert_array_equal(model.predict(given).packed, expected)


def test_a_mask_survives_the_way_to_text_and_back() -> None:
    mask = np.random.default_rng(0).random((7, 9)) > 0.5
    np.testing.assert_array_equal(carpus.rle.decode(carpus.rle.encode(mask), (7, 9)), mask)
    np.testing.assert_array_equal(carpus.rle.decode(carpus.rle.encode(mask.astype(np.uint8) * 255), (7, 9)), mask)
    assert carpus.rle.encode(np.zeros((2, 2))) == ""
    assert carpus.rle.encode(np.array([[0, 1], [1, 0]])) == "2 2"
    for text in ("1", "2 9", "x", "3 1 1 1"):
        with pytest.raises(carpus.UserError, match=r"^rle\.decode: .*\.$"):
            carpus.rle.decode(text, (2, 2))


def test_weights_of_torch_predict_as_the_same_network_in_an_onnx_file(tmp_path: Path) -> None:
    from tests.onnx_files import write_onnx

    torch.manual_seed(0)
    network = MODELS["u2netp"](1, 3).eval()
    save_file(network.state_dict(), tmp_path / "n.safetensors")
    write_onnx(tmp_path / "n.onnx", network, side_px=64)
    small = ["transform.size_px=64"]
    of_torch, of_onnx = (
        carpus.load(tmp_path / name, refine="soft", settings=small).cutout(photo())
        for name in ("n.safetensors", "n.onnx")
    )
    assert np.abs(of_torch.alpha.astype(int) - of_onnx.alpha).max() <= 1
    assert of_torch.own_colours
    assert of_onnx.own_colours


@pytest.mark.parametrize(
    ("do", "sentence"),
    [
        (lambda model: model.cutout("nope.jpg"), r"^nope\.jpg: the image cannot be read"),
        (lambda model: model.cutout(b"x"), r"^the given bytes: is no image that can be read"),
        (lambda model: model.cutout(3), r"^image: expected a path, .* got int\.$"),
        (lambda model: model.cutout(np.zeros((4, 4, 3))), r"^image: expected .* got float64\[4, 4, 3\]\.$"),
        (lambda model: model.cutout(np.zeros((4, 4, 2), np.uint8)), r"^image: expected .* got uint8\[4, 4, 2\]\.$"),
        (lambda model: model.cutout(photo()).save("a.jpg"), r"^a\.jpg: a \.jpg file has no alpha\."),
        (lambda model: model.cutout(photo()).save("a.gif"), r"^a\.gif: cut-outs are written as \.png, \.webp, \.jpg\."),
        (lambda model: model.cutout(photo()).picture("colr"), r"'colr' is not a picture\. Did you mean 'colour'"),
        (lambda model: model.cutout(photo()).picture("blur", strength=3), r"^picture\('blur'\): strength: expected"),
        (lambda model: model.cutout(photo()).picture("blur", x=3), r"^picture\('blur'\): x: unknown key"),
        (lambda _: carpus.load("nowhere"), r"^/.*/nowhere: no run here\."),
        (lambda _: carpus.load("nowhere", refine="sft"), r"^refine: 'sft' is not a preset .* Did you mean 'soft'"),
    ],
)
def test_every_fault_is_one_sentence(do: Any, sentence: str, model: carpus.Model) -> None:
    with pytest.raises(carpus.UserError, match=sentence) as raised:
        do(model)
    assert "\n" not in str(raised.value)


def test_bones_are_not_cut_out(folder: Path) -> None:
    with pytest.raises(carpus.UserError, match="this network is for task 'hand_bone', which cuts nothing out"):
        carpus.load(folder / "bones.onnx").cutout(radiograph())


def test_it_works_from_any_folder_and_loads_no_torch_for_an_onnx_file(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, carpus\n"
        f"model = carpus.load({str(folder / 'cut.onnx')!r}, refine='soft')\n"
        f"model.cutout({str(folder / 'photo.png')!r}).save('a.png')\n"
        "print([name for name in ('torch', 'numba', 'matplotlib') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert pixels_of(tmp_path / "a.png").shape == (90, 131, 4)


def test_special_cases_are_shown_before_and_after(model: carpus.Model, folder: Path) -> None:
    found = model.special_cases(folder / "photo.png", confidence=0)
    assert set(found.confidences) == {"hair", "texture", "transparency"}
    soft = carpus.load(folder / "cut.onnx", refine="soft").cutout(folder / "photo.png")
    assert np.abs(found.before.alpha.astype(int) - soft.alpha).max() <= 1
    assert found.after.rgba.shape == found.before.rgba.shape
    one, both = (PillowImage.open(io.BytesIO(each._repr_png_())) for each in (found.before, found))
    assert both.size == (one.width, 2 * one.height)


@pytest.mark.parametrize("confidence", [-0.1, 1.5, float("nan")])
def test_a_confidence_outside_its_range_is_refused(model: carpus.Model, folder: Path, confidence: float) -> None:
    with pytest.raises(carpus.UserError, match=r"special_cases: confidence=.* is outside 0\.\.1"):
        model.special_cases(folder / "photo.png", confidence=confidence)


def test_special_cases_of_bones_are_refused(folder: Path) -> None:
    with pytest.raises(carpus.UserError, match="special_cases: this network is for task 'hand_bone'"):
        carpus.load(folder / "bones.onnx").special_cases(folder / "photo.png")
