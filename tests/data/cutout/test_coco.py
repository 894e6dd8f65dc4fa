from __future__ import annotations

import contextlib
import io
import json
import logging
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from data.cutout.annotations import read_annotations
from data.cutout.coco import convert
from data.cutout.photos.head import look_at_photo, turn_upright
from data.image import ORIENTATION, read_grey
from utils.errors import UserError

SIZE_HW = (48, 64)


def save_photo(path: Path, size_hw: tuple[int, int] = SIZE_HW, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", size_hw[::-1], (90, 120, 60)).save(path, exif=exif)


def polygon(draws: np.random.Generator, points: int = 5) -> list[float]:
    """A polygon whose points may lie up to 5 px outside the image."""
    x, y = draws.uniform(-5, SIZE_HW[1] + 5, points), draws.uniform(-5, SIZE_HW[0] + 5, points)
    return [round(float(value), 2) for value in np.stack([x, y], axis=1).ravel()]


def blob(draws: np.random.Generator) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(draws.uniform(0, 1, SIZE_HW), (0, 0), 4) > 0.5).astype(np.uint8)


def plain_runs(mask: np.ndarray) -> dict[str, Any]:
    """Uncompressed runs, column by column, beginning with the length of a run of zeros."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, flat.size])
    return {"size": [*mask.shape], "counts": [*([0] if flat[0] else []), *map(int, lengths)]}


def compressed_runs(mask: np.ndarray) -> dict[str, Any]:
    runs = coco_mask.encode(np.asfortranarray(mask))
    return {"size": [*mask.shape], "counts": runs["counts"].decode()}


def coco_file(folder: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Path:
    path = folder / "annotations.json"
    categories = [{"id": 1, "name": "pill"}, {"id": 7, "name": "tray"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def image_entry(number: int, name: str, size_hw: tuple[int, int] = SIZE_HW) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": size_hw[0], "width": size_hw[1]}


def region(number: int, image: int, segmentation: Any, category: int = 1, crowd: int = 0) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": crowd}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A COCO file with all kinds of regions, names and suffixes; returns its path, beside the folder `images`."""
    draws = np.random.default_rng(4)
    names = ["a/Photo.JPG", "b.jpeg", "c.png", "d.webp", "empty.jpg", "crowd.bmp"]
    for name in names:
        save_photo(tmp_path / "images" / name)
    annotations = [
        region(1, 1, [polygon(draws)]),
        region(2, 1, [polygon(draws), polygon(draws, 3)], category=7),
        region(3, 2, plain_runs(blob(draws))),
        region(4, 3, compressed_runs(blob(draws))),
        region(5, 4, [polygon(draws, 20)]),
        region(6, 6, plain_runs(blob(draws)), crowd=1),
        region(7, 6, [polygon(draws, 4)]),
    ]
    return coco_file(tmp_path, [image_entry(number, name) for number, name in enumerate(names, 1)], annotations)


def masks_in(folder: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(folder)): np.asarray(cv2.imread(str(path), -1)) for path in sorted(folder.rglob("*.png"))
    }


def reference(path: Path, keep: Any = lambda _: True) -> dict[str, np.ndarray]:
    """The masks as pycocotools draws them."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
    warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, of how pycocotools decodes
    masks = {}
    for number, image in coco.imgs.items():
        union = np.zeros((image["height"], image["width"]), bool)
        for annotation in coco.loadAnns(coco.getAnnIds([number])):
            if keep(annotation):
                union |= coco.annToMask(annotation) > 0
        masks[str(Path(image["file_name"]).with_suffix(".png"))] = union * np.uint8(255)
    return masks


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def test_masks_are_those_of_pycocotools_whatever_the_kind_of_region(dataset: Path, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "images", tmp_path / "masks")
    assert same(masks_in(tmp_path / "masks"), reference(dataset))


def test_categories_and_crowds_can_be_chosen(dataset: Path, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "images", tmp_path / "trays", categories=["tray"])
    assert same(masks_in(tmp_path / "trays"), reference(dataset, lambda its: its["category_id"] == 7))
    convert(dataset, tmp_path / "images", tmp_path / "single", crowds=False)
    assert same(masks_in(tmp_path / "single"), reference(dataset, lambda its: not its["iscrowd"]))


def test_random_polygons_are_drawn_as_pycocotools_draws_them(tmp_path: Path) -> None:
    draws = np.random.default_rng(8)
    save_photo(tmp_path / "images" / "a.png")
    annotations = [region(number, 1, [polygon(draws, int(draws.integers(3, 12)))]) for number in range(40)]
    for annotation in annotations:
        path = coco_file(tmp_path, [image_entry(1, "a.png")], [annotation])
        convert(path, tmp_path / "images", tmp_path / "masks")
        assert same(masks_in(tmp_path / "masks"), reference(path))


def test_what_is_not_drawn_is_named(dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = json.loads(dataset.read_text())
    found["images"].append(image_entry(20, "lost.jpg"))
    found["annotations"] += [region(20, 99, [[0, 0, 5, 0, 5, 5]]), {**region(21, 2, []), "bbox": [0, 0, 9, 9]}]
    dataset.write_text(json.dumps(found))
    save_photo(tmp_path / "images" / "unlabelled.jpg")
    with caplog.at_level(logging.INFO):
        convert(dataset, tmp_path / "images", tmp_path / "masks")
    assert [
        message.partition(": ")[2] if "annotations.json" in message else message for message in caplog.messages
    ] == [
        f"1 image not in {tmp_path / 'images'}: lost.jpg",
        "1 image not annotated, so without a mask: unlabelled.jpg",
        "1 image without a region, so with an empty mask: empty.jpg",
        "1 image with boxes or keypoints alone, which say nothing about pixels, so without a mask: b.jpeg",
        "1 annotation of images that are not listed: 20",
        f"{tmp_path / 'masks'}: 5 masks",
    ]
    assert not (tmp_path / "masks" / "b.png").exists()


def test_images_are_found_by_the_end_of_their_path_and_in_either_form_of_hangul(tmp_path: Path) -> None:
    save_photo(tmp_path / "images" / "손.jpg")
    save_photo(tmp_path / "images" / "deep" / "b.jpg")
    names = ["C:x\\images\\손.jpg".removeprefix("C:"), "b.jpg"]
    path = coco_file(tmp_path, [image_entry(number, name) for number, name in enumerate(names, 1)], [])
    convert(path, tmp_path / "images", tmp_path / "masks")
    assert {*masks_in(tmp_path / "masks")} == {"x/images/손.png", "b.png"}


def test_two_files_that_differ_in_the_form_of_their_letters_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        save_photo(tmp_path / "images" / unicodedata.normalize(form, "손.jpg"))
    path = coco_file(tmp_path, [image_entry(1, "손.jpg")], [])
    with pytest.raises(UserError, match=r"two files of this name, .* \(NFC, and NFD as on a Mac\)"):
        convert(path, tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_as_its_image_is_shown(orientation: int, tmp_path: Path) -> None:
    """The annotations are of the stored pixels of an image whose sides differ."""
    mask = blob(np.random.default_rng(orientation))
    save_photo(tmp_path / "images" / "a.jpg", orientation=orientation)
    shown = ImageOps.exif_transpose(Image.open(tmp_path / "images" / "a.jpg"))
    assert look_at_photo(tmp_path / "images" / "a.jpg").shown_hw == shown.size[::-1]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    (tmp_path / "mask.png").write_bytes(b"")
    Image.fromarray(mask * 255).save(tmp_path / "mask.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "mask.png")))
    assert np.array_equal(turn_upright(mask * np.uint8(255), orientation), expected)
    if orientation >= 5:
        path = coco_file(tmp_path, [image_entry(1, "a.jpg")], [region(1, 1, plain_runs(mask))])
        convert(path, tmp_path / "images", tmp_path / "masks")
        assert np.array_equal(masks_in(tmp_path / "masks")["a.png"], expected)


def test_ids_may_be_texts_and_sizes_may_be_written_with_a_point(tmp_path: Path) -> None:
    save_photo(tmp_path / "images" / "a.jpg")
    entry = {"id": "a1", "file_name": "a.jpg", "height": 48.0, "width": 64.0}
    path = coco_file(tmp_path, [entry], [{**region(3, 1, SQUARE), "image_id": "a1", "category_id": "7"}])
    convert(path, tmp_path / "images", tmp_path / "masks", categories=["tray"])
    assert read_grey(tmp_path / "masks" / "a.png").any()


def test_a_frame_that_size_does_not_tell_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_photo(tmp_path / "images" / "a.jpg", orientation=3)
    convert(coco_file(tmp_path, [image_entry(1, "a.jpg")], []), tmp_path / "images", tmp_path / "masks")
    assert "1 image shown turned or mirrored at the same size: check that the mask fits: a.jpg" in caplog.text


GOOD = {"images": [image_entry(1, "a.png")], "annotations": [], "categories": []}
SQUARE = [[0, 0, 5, 0, 5, 5]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {}}, "'images' must be a list"),
        ({"images": [3]}, r"images\[0\] must be a block"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 5}]}, r"images\[0\]: lacks 'width'"),
        ({"images": [{**image_entry(1, "a.png"), "height": -5}]}, r"'height' is '-5', which cannot be"),
        ({"images": [{**image_entry(1, "a.png"), "height": 10**9}]}, r"'height' is '1000000000', which cannot be"),
        ({"images": [image_entry(1, "../a.png")]}, r"'\.\./a\.png' leads out of the folder"),
        ({"images": [image_entry(1, "/etc/a.png")]}, r"leads out of the folder"),
        ({"images": [image_entry(1, "a.png"), image_entry(2, "a.png")]}, r"images\[1\]: a second image named a\.png"),
        ({"images": [image_entry(1, "a.png"), image_entry(1, "b.png")]}, r"images\[1\]: a second image with the id 1"),
        ({"annotations": [region(3, 1, [])]}, r"boxes or keypoints, which say nothing about pixels"),
        ({"annotations": [region(3, 1, [[1, 2, 3, 4]])]}, r"annotation 3 \(a\.png\) is malformed \(a polygon needs"),
        ({"annotations": [region(3, 1, [[1, 2, 3e9, 4, 5, 6]])]}, r"malformed \(a polygon's outline is 6e\+09 px long"),
        ({"annotations": [region(3, 1, [[1, 2, 3, 4, "x", 5]])]}, r"coordinates must be numbers"),
        ({"annotations": [region(3, 1, [[1, 2, 3, 4, float("nan"), 5]])]}, r"coordinates must be numbers"),
        ({"annotations": [region(3, 1, "text")]}, r"'segmentation' must be polygons or runs"),
        ({"annotations": [region(3, 1, {"size": [9, 9], "counts": [81]})]}, r"its runs are of an image of \[9, 9\]"),
        ({"annotations": [region(3, 1, {"size": [48, 64], "counts": [5, -1]})]}, r"whole numbers that sum to 3072"),
        ({"annotations": [region(3, 1, {"size": [48, 64], "counts": "~~"})]}, r"a character that COCO does not use"),
        ({"annotations": [region(3, 1, {"size": [48, 64], "counts": "5"})]}, r"whole numbers that sum to 3072"),
        ({"annotations": [region(3, 1, {"size": [48, 64]})]}, r"malformed \('counts'\)"),
        ({"annotations": [region(3, 1, SQUARE, category=5)], "categories": [{"id": 1, "name": "x"}]}, r"category_id 5"),
        ({"images": [image_entry(1, "a.png", (5, 7))]}, r"is 64 x 48 px, and its annotations are of 7 x 5 px"),
        ({"images": [image_entry(1, "a.png", (10**32, 64))]}, r"images\[0\]: 'height' is '1000"),
        ({"images": [image_entry(1, "none.png")]}, r"holds none of the images of .* It lists none\.png"),
        ({"images": [image_entry(1, "a.png"), image_entry(2, "a.jpg")]}, r"would share the mask a\.png"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_writes_nothing(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        save_photo(tmp_path / "images" / name)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(UserError, match=words):
        convert(path, tmp_path / "images", tmp_path / "masks")
    assert masks_in(tmp_path / "masks") == {}


def test_a_category_that_is_not_there_is_refused_with_the_nearest(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no category 'pills'. Did you mean 'pill'\?"):
        convert(dataset, tmp_path / "images", tmp_path / "masks", categories=["pills"])
    assert read_annotations(dataset).categories == ["pill", "tray"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    for text, words in (("[]", "is no COCO file"), ("{", "is not JSON"), (None, "cannot be read")):
        path = tmp_path / "annotations.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with pytest.raises(UserError, match=words):
            convert(path, tmp_path, tmp_path / "masks")
