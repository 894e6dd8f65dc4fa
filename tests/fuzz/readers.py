"""The readers of files, each with whole files to be broken: what it returns is checked, or it raises `UserError`."""

from __future__ import annotations

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

from configs.loading.load import load
from data.folds.files import read_rows
from data.hand_bone.annotation import read_polygons
from data.hand_bone.classes import BONES
from data.hand_bone.image import check_image, image_size, read_image
from data.image import LARGEST_SIDE_PX, orientation_of, read_grey, read_rgb
from data.masks.packed import fill_polygons
from data.submission.reader import read_submission
from tests.contest import label_of, square_of
from tests.fuzz.mutations import broken
from tests.root import ROOT
from trainer.records.checkpoint import Weights, load_weights, save_weights
from utils.errors import UserError


@dataclass(frozen=True)
class Reader:
    """`wholes` makes the files to be broken; `read` reads one and checks what comes out."""

    name: str
    file_name: str
    wholes: Callable[[], list[bytes]]
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
    polygons = read_polygons(path, BONES, allow_missing=True)
    assert fill_polygons(polygons, (48, 64), len(BONES)).shape == (48, 64, 4)


@cache
def _pictures() -> tuple[bytes, ...]:
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 256, (24, 40), np.uint8)
    kinds = (grey, np.dstack([grey] * 3), np.dstack([grey, 255 - grey, grey]), np.dstack([grey] * 4))
    found = [cv2.imencode(".png", kind)[1].tobytes() for kind in (*kinds, grey.astype(np.uint16) * 257)]
    for suffix in ("PNG", "JPEG", "WEBP", "TIFF"):
        image, file = Image.fromarray(kinds[2]), io.BytesIO()
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(file, suffix, exif=exif)
        found.append(file.getvalue())
    return tuple(found)


def _read_png(path: Path) -> None:
    """Every reader of sizes agrees with the pixels, whichever of them refuses first."""
    found = [size for read in (image_size, lambda p: check_image(p)[0]) if (size := _or_none(read, path)) is not None]
    image = read_image(path)
    assert image.dtype == np.uint8
    assert {*found} <= {image.shape}
    assert max(image.shape) <= LARGEST_SIDE_PX


def _read_photograph(path: Path) -> None:
    assert 1 <= orientation_of(path.read_bytes()) <= 8
    image, grey = read_rgb(path), read_grey(path)
    assert image.shape == (*grey.shape, 3)


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


def _recipes() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]


READERS = (
    Reader("annotation", "label.json", _labels, _read_label),
    Reader("png", "image.png", lambda: [*_pictures()], _read_png),
    Reader("photograph", "photograph.jpg", lambda: [*_pictures()], _read_photograph),
    Reader("submission", "submission.csv", _submissions, _read_submission),
    Reader("folds", "fold_0.csv", _fold_files, _read_folds),
    Reader("weights", "best.safetensors", lambda: [*_weights()], _read_weights),
    Reader("config", "config.yaml", _recipes, load, most_lines=1000),
)
