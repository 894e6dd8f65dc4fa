"""The task of cut-outs, from a folder of rendered pills to scored cut-outs, by the code that trains on bones."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from benchmarks.scenes import draw_scene
from data.cutout.layout import find_images, find_samples, list_files
from data.cutout.output import read_alpha, read_cutouts
from data.cutout.pictures.kinds import rgba
from data.cutout.pictures.writer import CutoutWriter, Style
from data.cutout.split import LIST
from data.cutout.task import foreground, iou, iou_of_runs
from data.image import ORIENTATION
from data.masks.packed import pack_planes
from data.masks.rle import encode
from data.refine import object_colours
from data.sample import Sample
from utils.errors import UserError


def save(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def photo(size_hw: tuple[int, int] = (32, 48)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)


@pytest.fixture
def split_dir(tmp_path: Path) -> Path:
    for name in ("a", "sub/b", "c.d"):
        save(tmp_path / "images" / f"{name}.jpg", photo())
        save(tmp_path / "masks" / f"{name}.png", photo()[..., 0])
    return tmp_path


def test_samples_are_found_in_every_layout(split_dir: Path, tmp_path: Path) -> None:
    found = find_samples(split_dir, labelled=True)
    assert [sample.name for sample in found] == ["a", "c.d", "sub__b"]
    assert [sample.name for sample in find_images(split_dir)] == ["a", "c.d", "sub__b"]
    assert [sample.name for sample in find_images(split_dir / "images")] == ["a", "c.d", "sub__b"]
    lines = "".join(f"{sample.image}\t{sample.label}\n" for sample in found)
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / LIST).write_text(lines)
    listed = find_samples(tmp_path / "listed", labelled=True)
    assert [(sample.image, sample.label) for sample in listed] == [
        (sample.image, sample.label) for sample in sorted(found, key=lambda sample: sample.image.stem)
    ]
    assert find_samples(split_dir, labelled=True, exclude=["a"]) == found[1:]
    assert list_files(split_dir).images.keys() == list_files(split_dir).labels.keys() == {f.key for f in found}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg a.png\n", ":1: expected an image, a tab"),
        ("x/a.jpg\tm\ny/a.jpg\tm\n", ":2: a second image called a"),
        ("", "names no pair"),
    ],
)
def test_a_wrong_list_is_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / LIST).write_text(text)
    with pytest.raises(UserError, match=words):
        find_samples(tmp_path, labelled=True)


def test_two_photographs_never_share_a_name(split_dir: Path) -> None:
    """`sub/b` is written `sub__b`, and a file may be called so already."""
    for folder, suffix in (("images", "jpg"), ("masks", "png")):
        save(split_dir / folder / f"sub__b.{suffix}", photo()[..., 0])
    for find in (find_images, lambda folder: find_samples(folder, labelled=True)):
        with pytest.raises(UserError, match=r"b\.jpg and .*sub__b\.jpg would share the name sub__b\. Rename"):
            find(split_dir)
    reasons = [one.reason for one in list_files(split_dir).left_out]
    assert reasons == [f"sub/b.{suffix} has the same name" for suffix in ("jpg", "png")]


def test_folders_without_photographs_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no photographs with masks\. Expected images/ and masks/; DUTS-TR-Image/"):
        find_samples(tmp_path, labelled=True)
    with pytest.raises(UserError, match="no photograph in it"):
        find_images(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find_images(tmp_path / "none")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_size_and_pixels_are_those_of_the_photograph_as_it_is_shown(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    path = save(tmp_path / f"a{suffix}", photo(), orientation)
    image = foreground.read_image(path)
    assert image.shape[:2] == foreground.image_size(path) == ((32, 48) if orientation < 5 else (48, 32))


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_size_of_a_png_is_read_without_its_pixels(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", photo(), 6)
    if place == "last":
        content = path.read_bytes()
        begin = content.index(b"eXIf") - 4
        end = begin + 12 + int.from_bytes(content[begin : begin + 4])
        path.write_bytes(content[:begin] + content[end:-12] + content[begin:end] + content[-12:])
    assert foreground.read_image(path).shape == (48, 32, 3)
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("the pixels are decoded"))
    assert foreground.image_size(path) == (48, 32)


def test_an_orientation_that_the_reader_does_not_use_is_not_that_of_the_size(tmp_path: Path) -> None:
    note = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    Image.fromarray(photo()).save(tmp_path / "a.jpg", xmp=note)
    assert foreground.read_image(tmp_path / "a.jpg").shape[:2] == foreground.image_size(tmp_path / "a.jpg")


def test_masks_stay_soft_and_those_of_0_and_1_are_recognised(tmp_path: Path) -> None:
    soft = np.arange(32 * 48, dtype=np.uint32).reshape(32, 48).astype(np.uint8)
    for alpha, expected in ((soft, soft), ((soft > 99).astype(np.uint8), (soft > 99) * np.uint8(255))):
        sample = Sample("a", "a", tmp_path / "a.jpg", save(tmp_path / "a.png", alpha))
        assert np.array_equal(foreground.read_mask(sample, (32, 48))[..., 0], expected)


@pytest.mark.parametrize(
    ("mode", "words"),
    [("RGB", ""), ("P", ""), ("RGBA", ""), ("colours", "has colours"), ("cutout", "has transparent parts")],
)
def test_the_brightness_of_a_picture_is_no_mask(mode: str, words: str, tmp_path: Path) -> None:
    alpha = Image.fromarray(photo()[..., 0])
    if mode == "cutout":
        mask = Image.merge("RGBA", [alpha, alpha, alpha, alpha])
    else:
        mask = Image.fromarray(photo()) if mode == "colours" else alpha.convert(mode)
    mask.save(tmp_path / "m.png")
    sample = Sample("m", "m", save(tmp_path / "a.jpg", photo()), tmp_path / "m.png")
    if words:
        with pytest.raises(UserError, match=rf"m\.png: the mask {words}.* as grey values"):
            foreground.read(sample)
    else:
        assert np.array_equal(foreground.read(sample)[1][..., 0], photo()[..., 0])


def test_a_mask_of_another_size_is_refused_by_check_and_reader(tmp_path: Path) -> None:
    sample = Sample("a", "a", save(tmp_path / "a.jpg", photo()), save(tmp_path / "a.png", photo((48, 32))[..., 0]))
    for read in (foreground.check, lambda sample: foreground.read_mask(sample, (32, 48))):
        with pytest.raises(UserError, match=r"a\.png: the mask is 32 x 48 px, its photograph a\.jpg 48 x 32 px"):
            read(sample)


def test_the_iou_of_masks_is_that_of_their_runs() -> None:
    draws = np.random.default_rng(1)
    for _ in range(5):
        mask, truth = (draws.integers(0, 256, (20, 30, 1), np.uint8) for _ in range(2))
        runs = [encode(pack_planes((part >= 128).transpose(2, 0, 1)), 1)[0] for part in (mask, truth)]
        assert iou(mask, truth, 1) == pytest.approx([iou_of_runs(*runs)])
    empty = np.zeros((4, 4, 1), np.uint8)
    assert iou(empty, empty, 1) == 1


def test_a_cut_out_has_the_photographs_colours_and_the_predicted_alpha(split_dir: Path, tmp_path: Path) -> None:
    samples = find_images(split_dir)
    alphas = {sample.name: photo()[..., index][..., None] for index, sample in enumerate(samples)}
    out = tmp_path / "out"
    with suppress(KeyboardInterrupt), CutoutWriter(out, samples, "origin", 1) as writer:
        writer.write_mask("a", alphas["a"])
        raise KeyboardInterrupt
    with CutoutWriter(out, samples, "origin", 1) as writer:
        assert writer.done == 1
        for sample in samples[1:]:
            writer.write_mask(sample.name, alphas[sample.name])
    assert {path.name for path in out.iterdir()} == {"a.png", "c.d.png", "sub__b.png"}
    for sample in samples:
        written = cv2.imread(str(out / f"{sample.name}.png"), cv2.IMREAD_UNCHANGED)
        assert written is not None
        assert np.array_equal(written[..., 2::-1], foreground.read_image(sample.image))
        assert np.array_equal(read_alpha(out / f"{sample.name}.png"), alphas[sample.name][..., 0])
    (out / "._a.png").write_bytes(b"left by a Mac")
    assert read_cutouts(out).names == ["a", "c.d", "sub__b"]


def test_a_cut_out_may_have_the_objects_own_colours(tmp_path: Path) -> None:
    scene = draw_scene("fur", "wood", 1, (48, 64))
    alpha = np.asarray(np.round(scene.alpha * 255), np.uint8)
    sample = Sample("a", "a", save(tmp_path / "a.png", scene.picture))
    style = Style(rgba(), own_colours=True)
    with CutoutWriter(tmp_path / "out", [sample], "origin", 1, style=style) as writer:
        writer.write_mask("a", alpha[..., None])
    written = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    seen = alpha > 0
    assert np.array_equal(written[seen][:, :3], object_colours(scene.picture, alpha)[seen])
    assert np.array_equal(written[..., 3], alpha)


def test_nobody_finds_the_ground_in_a_cut_out(tmp_path: Path) -> None:
    picture, alpha = photo(), np.zeros(photo().shape[:2], np.uint8)
    alpha[2, 3] = 1
    sample = Sample("a", "a", save(tmp_path / "a.png", picture))
    with CutoutWriter(tmp_path / "out", [sample], "origin", 1) as writer:
        writer.write_mask("a", alpha[..., None])
    written = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    near = np.zeros(alpha.shape, np.bool_)
    near[:7, :8] = True
    # Some pixels beside the object have colours, for programs that reduce pictures without regard to the alpha.
    assert np.array_equal(written[near][:, :3], picture[near])
    assert not written[~near].any()
    assert (~near).any()


def test_a_folder_of_anything_else_is_no_prediction(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no PNG or WebP files"):
        read_cutouts(tmp_path)
    save(tmp_path / "a.png", photo())
    with pytest.raises(UserError, match=r"a\.png: has no alpha channel and is not grey"):
        read_cutouts(tmp_path)
