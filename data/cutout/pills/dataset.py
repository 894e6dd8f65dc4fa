"""A labelled data set of rendered pills, with what makes real COCO files hard to read.

`images/` holds photographs of several suffixes, some in a sub-folder. `annotations.json` describes the pills as
polygons, runs and compressed runs, some of them as crowds; some images have no pill, and some have a region of another
category around the pills. `truth/` holds the exact share of each pixel that pills cover, as PNG files of these names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from data.cutout.pills.grounds import GROUNDS
from data.cutout.pills.scene import Scene, draw_scene
from data.cutout.pills.shapes import Pill, along_and_across, distance, outline
from utils.arrays import Bytes, Size
from utils.files import replacing, write_text
from utils.parallel import map_ahead

SUFFIXES = (".jpg", ".JPG", ".jpeg", ".png")
PILL, TRAY = {"id": 3, "name": "pill"}, {"id": 8, "name": "tray"}
EMPTY_EVERY, TRAY_EVERY, FOLDER_EVERY, CROWD_EVERY = 19, 10, 4, 13
JPEG_QUALITY = 92


@dataclass(frozen=True)
class PillSet:
    """How many images of about which side, from which seed, on which grounds; `bare`: without a pill.

    `things` is the share of images with things that are no pills.
    """

    images: int
    size_px: int
    seed: int
    grounds: Sequence[str] = tuple(GROUNDS)
    bare: bool = False
    things: float = 0.0


def write_pills(out: Path, wanted: PillSet) -> Iterator[str]:
    """Write the data set below `out`; yields each image's name when it is written, and the annotations at the end."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    scenes = map_ahead(lambda number: draw_numbered(wanted, number), range(wanted.images))
    for number, scene in enumerate(scenes):
        name = name_of(number)
        _write(out / "images" / name, encode_photo(scene.photo, name))
        _write((out / "truth" / name).with_suffix(".png"), _encoded(".png", scene.alpha))
        height, width = scene.alpha.shape
        image_id = 100 + 3 * number
        entries.append({"id": image_id, "file_name": name, "height": height, "width": width})
        annotations += regions_of(scene, number, image_id, first_id=len(annotations) + 1)
        yield name
    found = {"images": entries, "annotations": annotations, "categories": [PILL, TRAY]}
    write_text(out / "annotations.json", json.dumps(found) + "\n")


def write_split(folder: Path, wanted: PillSet, images: str, masks: str) -> None:
    """Write photographs and the exact share of each pixel that pills cover, as PNG files in two folders of these names.

    Unlike `write_pills` it writes nothing that is hard to read.
    """
    for number in range(wanted.images):
        scene, name = draw_numbered(wanted, number), f"{number:04}.png"
        _write(folder / images / name, encode_photo(scene.photo, name))
        _write(folder / masks / name, _encoded(".png", scene.alpha))


def draw_numbered(wanted: PillSet, number: int) -> Scene:
    """Draw the scene of this number; every `EMPTY_EVERY`-th has no pill."""
    sides = np.random.default_rng([wanted.seed, number, 1]).uniform(0.75, 1.3, 2) * wanted.size_px
    size_hw = (round(float(sides[0])), round(float(sides[1])))
    pills = 0 if wanted.bare or number % EMPTY_EVERY == EMPTY_EVERY - 1 else None
    return draw_scene([wanted.seed, number], size_hw, pills=pills, grounds=wanted.grounds, things=wanted.things)


def name_of(number: int) -> str:
    """The path of an image below `images/`."""
    folder = "second/" if number % FOLDER_EVERY == FOLDER_EVERY - 1 else ""
    return f"{folder}pills_{number:04}{SUFFIXES[number % len(SUFFIXES)]}"


def regions_of(scene: Scene, number: int, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """Describe the pills of a scene as annotations; the kind of segmentation changes from pill to pill."""
    height, width = scene.alpha.shape
    found = []
    for place, pill in enumerate(scene.pills):
        kind = SEGMENTATIONS[(number + place) % len(SEGMENTATIONS)]
        is_crowd = (number + place) % CROWD_EVERY == CROWD_EVERY - 1
        segmentation = runs_of(pill, (height, width)) if is_crowd else kind(pill, (height, width))
        found.append({"category_id": PILL["id"], "segmentation": segmentation, "iscrowd": int(is_crowd)})
    if number % TRAY_EVERY == TRAY_EVERY - 1:
        tray = [[1, 1, width - 1, 1, width - 1, height - 1, 1, height - 1]]
        found.append({"category_id": TRAY["id"], "segmentation": tray, "iscrowd": 0})
    return [{"id": first_id + place, "image_id": image_id, **each} for place, each in enumerate(found)]


def polygon_of(pill: Pill, _: Size) -> list[list[float]]:
    """The outline as a polygon."""
    return [outline(pill)]


def runs_of(pill: Pill, size_hw: Size) -> dict[str, Any]:
    """The pixels as plain runs, column by column, beginning with those outside."""
    flat = inside(pill, size_hw).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = [*([0] if flat[0] else []), *map(int, np.diff([0, *ends, flat.size]))]
    return {"size": [*size_hw], "counts": counts}


def compressed_runs_of(pill: Pill, size_hw: Size) -> dict[str, Any]:
    """The pixels as COCO's compressed runs."""
    runs = coco_mask.encode(np.asfortranarray(inside(pill, size_hw)))
    return {"size": [*size_hw], "counts": runs["counts"].decode()}


def inside(pill: Pill, size_hw: Size) -> Bytes:
    """The pixels whose middle the pill covers, uint8[H, W] of 0 and 1."""
    return (distance(pill, *along_and_across(pill, size_hw)) < 0).astype(np.uint8)


SEGMENTATIONS = (polygon_of, runs_of, compressed_runs_of)


def encode_photo(photo: Bytes, name: str) -> bytes:
    """Return the file of a photograph, in the format of its name."""
    return _encoded(Path(name).suffix.lower(), np.ascontiguousarray(photo[..., ::-1]))


def _encoded(suffix: str, pixels: Bytes) -> bytes:
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return bytes(cv2.imencode(suffix, pixels, options)[1].tobytes())


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
