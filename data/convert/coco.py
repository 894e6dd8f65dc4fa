"""COCO's instances in one JSON file: an annotation is one object, its polygons are the parts, runs are a mask.

A category whose name occurs twice is one class. An object is written as polygons if it was polygons, else as runs.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from data.convert.images import ImageFolder
from data.convert.model import (
    Labelled,
    LabelSet,
    Region,
    mask_of,
    plain,
    points_of,
    relative_name,
    runs_of,
)
from data.convert.output import write_file
from data.convert.settings import Others, Settings
from data.cutout.annotations import Region as Annotation
from data.cutout.annotations import mask_of_runs, read_annotations
from utils.arrays import Size
from utils.errors import UserError
from utils.files import read_json
from utils.text import composed

KNOWN = ("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd")
KNOWN_OF_IMAGES = ("id", "file_name", "width", "height")


def read(source: Path, settings: Settings) -> LabelSet:
    """Read a COCO file. Raises `UserError` that names the annotation."""
    found = read_annotations(source)
    labels, others = (
        LabelSet([], {composed(name): "" for name in found.categories}),
        Others(settings.skip_others, Counter()),
    )
    for image in found.images:
        name, regions = relative_name(image.name, str(source)), []
        for annotation in image.regions:
            where = f"{source}: annotation {annotation.number} ({image.name})"
            if annotation.is_empty:
                others.add("boxes or points alone", where)
            else:
                regions.append(_region(annotation, image.size_hw, where))
        labels.images.append(Labelled(name, image.size_hw, tuple(regions)))
    others.refuse(source)
    if found.orphans:
        labels.lost["annotations of images that the file does not list"] += len(found.orphans)
    labels.lost += _lost_in(source)
    if settings.images is not None:
        ImageFolder(settings.images).refuse_other_sizes({image.name: image.size_hw for image in labels.images}, source)
    return labels


def _region(annotation: Annotation, size_hw: Size, where: str) -> Region:
    label = composed(annotation.category)
    if isinstance(annotation.segmentation, list):
        rings = tuple(points_of(_pairs(values), where) for values in annotation.segmentation)
        return Region(label, rings, is_crowd=annotation.is_crowd)
    try:
        mask = mask_of_runs(annotation.segmentation, *size_hw)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise UserError(f"{where}: its runs are malformed ({error}). Correct it, or remove the annotation.") from error
    return Region(label, masks=(runs_of(mask),), is_crowd=annotation.is_crowd)


def _pairs(values: Any) -> Any:
    """Return x and y in turn as pairs; anything else as it is, to be refused."""
    is_flat = isinstance(values, list) and len(values) % 2 == 0
    return [values[at : at + 2] for at in range(0, len(values), 2)] if is_flat else values


def _lost_in(source: Path) -> Counter[str]:
    """Count what entries say beside classes and regions."""
    found, lost = read_json(source, unreadable="", malformed=""), Counter[str]()
    for key, known, noun in (("annotations", KNOWN, "annotations"), ("images", KNOWN_OF_IMAGES, "images")):
        lost.update(
            f"'{name}' of {noun}" for entry in found[key] for name in entry if name not in known and entry[name]
        )
    return lost


def write(labels: LabelSet, target: Path, settings: Settings) -> None:
    """Write one COCO file; images and categories are numbered from 1."""
    number_of = {name: number for number, name in enumerate(labels.classes, 1)}
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(labels.images, 1):
        for region in image.regions:
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": number_of[region.label]}
            annotations.append({**entry, **_annotation(region, image.size_hw)})
    whole = {
        "images": [
            {"id": number, "file_name": image.name, "height": image.size_hw[0], "width": image.size_hw[1]}
            for number, image in enumerate(labels.images, 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in number_of.items()],
        "annotations": annotations,
    }
    write_file(target, json.dumps(whole, ensure_ascii=False) + "\n")


def _annotation(region: Region, size_hw: Size) -> dict[str, Any]:
    mask = mask_of(region, size_hw)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = [0, 0, 0, 0]
    if len(rows):
        left, top = int(columns[0]), int(rows[0])
        box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    segmentation: Any
    if region.masks or region.is_crowd or not region.rings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, of how pycocotools returns arrays
            runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        segmentation = {"size": list(size_hw), "counts": runs["counts"].decode("ascii")}
    else:
        segmentation = [[number for point in plain(ring.tolist()) for number in point] for ring in region.rings]
    return {"segmentation": segmentation, "area": int(mask.sum()), "bbox": box, "iscrowd": int(region.is_crowd)}
