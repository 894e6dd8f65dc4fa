"""The readers of files, each with whole files to be broken: what it returns is checked, or it raises `UserError`."""

from __future__ import annotations

import base64
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image as PillowImage

from configs.loading.load import load
from data.convert.contest import text_of
from data.convert.convert import FORMATS
from data.convert.model import mask_of as mask_of_region
from data.convert.settings import Settings
from data.cutout.annotations import mask_of, read_annotations
from data.cutout.mask_file import read_mask_file
from data.cutout.photos.head import look_at_photo
from data.cutout.photos.reader import read_photo
from data.films.reader import check_image, image_size, read_image
from data.folds.files import read_rows
from data.hand_bone.classes import BONES
from data.image import LARGEST_SIDE_PX, PNG_SIGNATURE, orientation_of, read_grey, read_rgb
from data.masks.packed import fill_polygons
from data.polygons.annotation import read_polygons, survey_polygons
from data.submission.reader import read_submission
from runtime.model.network import Network, read_file
from runtime.threshold_file import load_thresholds
from tests.contest import label_of, square_of
from tests.dicoms import compressed, dicom_bytes, noise
from tests.fuzz.mutations import broken
from tests.root import RECIPES, ROOT
from tests.runtime.networks import SIDE_PX, small_for, write_described
from trainer.records.checkpoint import Weights, load_state, load_weights, save_weights
from trainer.records.history import read_history
from utils.arrays import Image
from utils.errors import UserError

FEW_PX = 1000
"""Images of at most so many pixels a side are filled."""


@dataclass(frozen=True)
class Reader:
    """`wholes` makes the files to be broken; `read` reads one and checks what comes out."""

    name: str
    file_name: str
    wholes: Callable[[], list[bytes]]
    """Those that cannot be read are of another kind, such as a JPEG named .png."""
    read: Callable[[Path], object]
    most_lines: int = 1
    """Lines that a refusal may have; a config's problems are told together."""


@dataclass
class Count:
    """How many broken files were read and refused, and those at which a reader failed."""

    read: int = 0
    refused: int = 0
    failures: list[tuple[bytes, str]] = field(default_factory=list)


def search(reader: Reader, inputs: int, seed: int, folder: Path) -> Count:
    """Break files in so many ways, the same ones for the same seed, and read each."""
    rng, wholes, path, count = random.Random(seed), reader.wholes(), folder / reader.file_name, Count()
    for _ in range(inputs):
        content = broken(rng, wholes)
        path.write_bytes(content)
        try:
            reader.read(path)
            count.read += 1
        except UserError as error:
            count.refused += 1
            if fault := fault_of_sentence(str(error), reader.most_lines):
                count.failures.append((content, fault))
        except Exception as error:
            count.failures.append((content, f"{type(error).__name__}: {error}"))
    return count


def fault_of_sentence(sentence: str, most_lines: int) -> str:
    """Return what is wrong with a sentence to a user; empty if nothing is."""
    try:
        sentence.encode()
    except UnicodeEncodeError:
        return "the sentence cannot be written"
    lines = sentence.splitlines()
    return "" if sentence.strip() and len(lines) <= most_lines else f"{len(lines)} lines: {sentence[:200]!r}"


def _labels() -> list[bytes]:
    whole = json.dumps(label_of([square_of(index, np.zeros(2, int)) for index in range(len(BONES))])).encode()
    rings = b"[[[[1, 2], [30, 2], [30.5, 40]]], [[3, 4], [5, 6], [7, 8]]]"
    return [whole, b'{"annotations": [{"label": "Ulna", "points": ' + rings + b"}]}"]


def _read_label(path: Path) -> None:
    """The survey, which goes on after a fault, finds one if and only if the label is refused."""
    surveyed, faults = survey_polygons(path, BONES)
    assert all(str(fault).isprintable() for fault in faults)
    assert fill_polygons(surveyed, (48, 64), len(BONES)).shape == (48, 64, 4)
    assert (_or_none(lambda whole: read_polygons(whole, BONES), path) is None) == bool(faults)
    polygons = read_polygons(path, BONES, allow_missing=True)
    assert fill_polygons(polygons, (48, 64), len(BONES)).shape == (48, 64, 4)


@cache
def _pictures() -> tuple[bytes, ...]:
    grey = np.random.default_rng(0).integers(0, 256, (24, 40), np.uint8)
    kinds = (grey, np.dstack([grey] * 3), np.dstack([grey, 255 - grey, grey]), np.dstack([grey] * 4))
    found = [cv2.imencode(".png", kind)[1].tobytes() for kind in (*kinds, grey.astype(np.uint16) * 257)]
    return (*found, *(_turned(kinds[2], name) for name in ("PNG", "JPEG", "WEBP", "TIFF")))


def _pngs() -> list[bytes]:
    return [picture for picture in _pictures() if picture.startswith(PNG_SIGNATURE)]


@cache
def _masks() -> tuple[bytes, ...]:
    grey = np.random.default_rng(0).integers(0, 256, (24, 40), np.uint8)
    return (*(_turned(grey, name) for name in ("PNG", "JPEG", "TIFF")), *_pictures())


def _turned(pixels: Image, file_format: str) -> bytes:
    """A picture that is to be shown turned by a quarter."""
    image, file = PillowImage.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(file, file_format, exif=exif)
    return file.getvalue()


@cache
def _films() -> tuple[bytes, ...]:
    """Films of every kind but PNG, also deep, inverted and compressed."""
    deep = noise(12)
    window = {"WindowCenter": 900, "WindowWidth": 2000, "RescaleSlope": 2, "RescaleIntercept": -5}
    dicoms = [dicom_bytes(noise()), dicom_bytes(deep, 12, "MONOCHROME1", **window), dicom_bytes(deep, 16)]
    with tempfile.TemporaryDirectory() as folder:
        syntaxes = ("JPEG2000Lossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless")
        dicoms += [compressed(dicoms[1], syntax, Path(folder)) for syntax in syntaxes]
    kinds = [_turned(noise(), name) for name in ("JPEG", "WEBP", "TIFF", "BMP")]
    return (*dicoms, *dicoms, *kinds, cv2.imencode(".tiff", deep)[1].tobytes())


def _read_film(path: Path) -> None:
    """The head says the size that the pixels have, and what a check passes is read."""
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image_size(path) == check_image(path)[0] == image.shape


def _read_png(path: Path) -> None:
    """Every reader of sizes agrees with the pixels, whichever of them refuses first."""
    found = [size for read in (image_size, lambda p: check_image(p)[0]) if (size := _or_none(read, path)) is not None]
    image = read_image(path)
    assert image.dtype == np.uint8
    assert {*found} <= {image.shape}
    assert max(image.shape) <= LARGEST_SIDE_PX
    usual = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    assert usual is not None
    assert np.array_equal(image, usual)


def _read_photograph(path: Path) -> None:
    assert 1 <= orientation_of(path.read_bytes()) <= 8
    image, grey = read_rgb(path), read_grey(path)
    assert image.shape == (*grey.shape, 3)


def _read_cutout_photo(path: Path) -> None:
    """The head says the size that the pixels have."""
    photo = read_photo(path)
    assert sorted(photo.pixels.shape[:2]) == sorted(look_at_photo(path).stored_hw)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape[2] == 3
    assert photo.own_alpha is None or photo.own_alpha.shape == photo.pixels.shape[:2]


def _read_mask(path: Path) -> None:
    mask = read_mask_file(path)
    assert mask.dtype == np.uint8
    assert mask.ndim == 2


def _annotations() -> list[bytes]:
    """A polygon, a crowd in whole numbers and one that is compressed, on two images."""
    size, compressed = [24, 40], "S36b000000000000000000000000000000m>"
    regions: tuple[tuple[int, Any], ...] = (
        (1, [[1, 1, 30, 2, 9, 20.5]]),
        (1, {"size": size, "counts": [5, 955]}),
        (2, {"size": size, "counts": compressed}),
    )
    names = {1: "a.png", 2: "b/c.jpg"}
    whole = {
        "images": [{"id": number, "file_name": name, "height": 24, "width": 40} for number, name in names.items()],
        "categories": [{"id": 7, "name": "pill"}],
        "annotations": [
            {"id": place, "image_id": image, "category_id": 7, "iscrowd": int("size" in found), "segmentation": found}
            for place, (image, found) in enumerate(regions)
        ],
    }
    return [json.dumps(whole).encode()]


def _read_coco(path: Path) -> None:
    for image in read_annotations(path).images:
        if max(image.size_hw) <= LARGEST_SIDE_PX:
            assert mask_of(image, path).shape == image.size_hw


def _labelme_files() -> list[bytes]:
    """Two polygons that are one object, a mask, and a shape that marks no region."""
    mask = base64.b64encode(cv2.imencode(".png", np.eye(4, dtype=np.uint8))[1].tobytes()).decode()
    shapes: list[dict[str, Any]] = [
        {"label": "손", "points": [[1, 1], [30.5, 2], [9, 20.5]], "group_id": 1, "shape_type": "polygon", "flags": {}},
        {"label": "손", "points": [[3, 3], [3, 3], [3, 3]], "group_id": 1, "shape_type": "polygon", "mask": None},
        {"label": "b", "points": [[2, 3], [6, 7]], "group_id": None, "shape_type": "mask", "mask": mask},
    ]
    whole = {"version": "5.5.0", "shapes": shapes, "imagePath": "a.png", "imageHeight": 24, "imageWidth": 40}
    return [json.dumps(whole).encode(), json.dumps({**whole, "imageData": "AAAA", "flags": {"x": True}}).encode()]


def _cvat_files() -> list[bytes]:
    """Two polygons that are one object, a mask, a tag; and the same in a project with a class list."""
    shapes = (
        '<polygon label="손" points="1,1;30.5,2;9,20.5" group_id="1" z_order="0"/>'
        '<polygon label="손" points="3,3;3,3;3,3" group_id="1"><attribute name="x">y</attribute></polygon>'
        '<mask label="b" rle="1, 4, 1" left="2" top="3" width="3" height="2"/><tag label="c"/>'
    )
    image = f'<image id="0" name="a/b.png" width="40" height="24">{shapes}</image>'
    labels = "<meta><task><labels><label><name>b</name><color>#ff0000</color></label></labels></task></meta>"
    return [f"<annotations>{inner}</annotations>".encode() for inner in (image, labels + image)]


def _read_labels(of: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        """What is read can be filled, and written in the format from which training reads."""
        labels = FORMATS[of].read(path, Settings(skip_others=True))
        for image in labels.images:
            if max(image.size_hw) <= FEW_PX:
                assert all(mask_of_region(region, image.size_hw).shape == image.size_hw for region in image.regions)
                text_of(image, list(dict.fromkeys(region.label for region in image.regions)))

    return read


def _or_none(read: Callable[[Path], Any], path: Path) -> Any:
    try:
        return read(path)
    except UserError:
        return None


ROWS = ("image_name,class,rle", "a_R.png,Radius,1 3 7 2 100 5", "a_R.png,Ulna,", "b.png,Ulna,5 60", "b.png,Radius,1 1")


def _submissions() -> list[bytes]:
    plain = "\n".join(ROWS).encode()
    quoted = "\r\n".join(",".join(f'"{cell}"' for cell in row.split(",")) for row in ROWS).encode()
    return [plain, quoted, b"\xef\xbb\xbf" + plain]


def _read_submission(path: Path) -> None:
    submission = read_submission(path, ["Radius", "Ulna"])
    for name in submission.names:
        assert len(submission.runs[name]) == 2
        assert len(submission.of(name, (10, 20))) == 2


def _fold_files() -> list[bytes]:
    rows = ["image_name,json_name,split,fold", "ID001/a.png,ID001/a.json,train,0", "DCM/ID002/b.png,b.json,val,0"]
    return ["\n".join(rows).encode(), "\r\n".join(rows).replace("train", '"train"').encode()]


def _read_folds(path: Path) -> None:
    assert all(row.name and row.side in ("train", "val") for row in read_rows(path))


@cache
def _weights() -> tuple[bytes, ...]:
    usual = {"brightness": 5.0, "brightness_spread": 0.1, "skew": 0.5, "skew_spread": 0.1}
    config = {"seed": 1, "model": {"name": "unet"}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "best.safetensors"
        save_weights(path, Weights({"a": torch.arange(6.0)}, ("x", "y"), config, 3, 0.5, "dice", usual))
        return (path.read_bytes(),)


def _read_weights(path: Path) -> None:
    assert torch.equal(load_weights(path).tensors["a"], torch.arange(6.0))


@cache
def _states() -> tuple[bytes, ...]:
    file = io.BytesIO()
    torch.save({"epoch": 1, "model": {"a": torch.arange(6.0)}, "name": "x"}, file)
    return (file.getvalue(),)


def _read_state(path: Path) -> None:
    assert torch.equal(load_state(path)["model"]["a"], torch.arange(6.0))


def _histories() -> list[bytes]:
    return [b"epoch,train_loss,dice,seconds,data_wait_share\n1,0.5,0.1,2.5,0.01\n2,0.4,,2.5,0.01\n"]


def _read_history(path: Path) -> None:
    for row in read_history(path):
        int(row["epoch"])


def _thresholds() -> list[bytes]:
    return ['{"thresholds": {"a": 0.5, "손": 0.25}}'.encode()]


def _read_thresholds(path: Path) -> None:
    assert all(0 < value < 1 for value in load_thresholds(path, ("a", "손")))


@cache
def _networks() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return (write_described(Path(folder) / "a.onnx", small_for("foreground"), "foreground").read_bytes(),)


def _read_network(path: Path) -> None:
    network = Network(read_file(path), 1)
    about = network.metadata
    network.check(3, (SIDE_PX, SIDE_PX))
    logits = network.logits(np.zeros((3, SIDE_PX, SIDE_PX), np.float32), about.output if about else "probability", 1)
    assert logits.shape[0] == 1
    assert np.isfinite(logits).all()


def _recipes() -> list[bytes]:
    """All recipes; each names the one that it extends by its whole path, for it is read from another folder."""
    recipes = [path.read_bytes() for path in RECIPES]
    return [recipe.replace(b"\nextends: ", b"\nextends: " + bytes(ROOT / "configs") + b"/") for recipe in recipes]


READERS = (
    Reader("annotation", "label.json", _labels, _read_label),
    Reader("png", "image.png", lambda: [*_pngs()], _read_png),
    Reader("film", "film", lambda: [*_films()], _read_film),
    Reader("photograph", "photograph.jpg", lambda: [*_pictures()], _read_photograph),
    Reader("cutout", "photograph.jpg", lambda: [*_pictures()], _read_cutout_photo),
    Reader("mask", "mask.png", lambda: [*_masks()], _read_mask),
    Reader("coco", "annotations.json", _annotations, _read_coco),
    Reader("labelme", "label.json", _labelme_files, _read_labels("labelme")),
    Reader("cvat", "annotations.xml", _cvat_files, _read_labels("cvat")),
    Reader("instances", "annotations.json", _annotations, _read_labels("coco")),
    Reader("submission", "submission.csv", _submissions, _read_submission),
    Reader("folds", "fold_0.csv", _fold_files, _read_folds),
    Reader("weights", "best.safetensors", lambda: [*_weights()], _read_weights),
    Reader("state", "state-00000001.pt", lambda: [*_states()], _read_state),
    Reader("history", "metrics.csv", _histories, _read_history),
    Reader("thresholds", "thresholds.json", _thresholds, _read_thresholds),
    Reader("network", "model.onnx", lambda: [*_networks()], _read_network),
    Reader("config", "config.yaml", _recipes, load, most_lines=1000),
)
