"""COCO's `annotations.json`: which regions of which images belong to which category.

A region is a list of polygons or runs, compressed or not. Its pixels are those that pycocotools gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from data.image import LARGEST_SIDE_PX
from utils.arrays import Mask, Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.files import read_json
from utils.text import composed

UNREADABLE = "Name the JSON file of a COCO data set, such as annotations.json."
MALFORMED = "Export the annotations again as COCO."
FEWEST_NUMBERS = 6
"""Of a polygon: x and y of three points."""
LONGEST_OUTLINE_PX = 1 << 22
"""Of a polygon: pycocotools stores each pixel of its outline, far outside the image too. The outline of a pattern as
fine as the pixels of a photograph is shorter."""


@dataclass(frozen=True)
class Region:
    """One annotation: where an object is, as COCO writes it, and whether it is a crowd of objects."""

    number: str
    category: str
    segmentation: Any
    is_crowd: bool

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing about pixels, as annotations of boxes alone do."""
        return not self.segmentation


@dataclass(frozen=True)
class AnnotatedImage:
    """An image as the annotations name it, and its regions. `name` is a relative path with slashes."""

    name: str
    size_hw: Size
    regions: Sequence[Region]

    @property
    def is_drawable(self) -> bool:
        """Whether all its regions say which pixels they cover; if one does not, the mask would lack an object."""
        return not any(region.is_empty for region in self.regions)


@dataclass(frozen=True)
class Annotations:
    """All images of a file in their order, the names of the categories, and what belongs to no image."""

    path: Path
    images: Sequence[AnnotatedImage]
    categories: Sequence[str]
    orphans: Sequence[str]
    """Numbers of annotations whose image the file does not list."""


def read_annotations(path: Path) -> Annotations:
    """Read and check a COCO file. Raises `UserError` that names the first wrong entry."""
    found = read_json(path, unreadable=UNREADABLE, malformed=MALFORMED)
    if not isinstance(found, dict) or "images" not in found or "annotations" not in found:
        raise UserError(f"{path}: has no lists 'images' and 'annotations', so it is no COCO file. {MALFORMED}")
    categories = _categories(path, found)
    regions = _regions_by_image(path, found, categories)
    images, seen, numbers = [], set(), set()
    for place, entry in enumerate(_list(path, found, "images")):
        where = f"{path}: images[{place}]"
        number, name = _number_of(where, entry, "id"), _name(where, entry)
        if number in numbers:
            raise UserError(f"{where}: a second image with the id {number}. Give it another. {MALFORMED}")
        numbers.add(number)
        if name in seen:
            raise UserError(f"{where}: a second image named {name}. Keep one of them. {MALFORMED}")
        seen.add(name)
        height, width = (int(_value(where, entry, key, _is_side)) for key in ("height", "width"))
        images.append(AnnotatedImage(name, (height, width), regions.pop(number, [])))
    orphans = [region.number for left in regions.values() for region in left]
    return Annotations(path, images, sorted(set(categories.values())), orphans)


def mask_of(image: AnnotatedImage, path: Path) -> Mask:
    """Return the union of an image's regions, bool[H, W] of the size that the annotations give.

    Raises `UserError` that names `path` and the annotation if a segmentation is malformed.
    """
    height, width = image.size_hw
    union = np.zeros((height, width), np.bool_)
    for region in image.regions:
        try:
            for counts in _runs_of(region.segmentation, height, width):
                union |= _decoded(counts, height, width)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise UserError(
                f"{path}: the segmentation of annotation {region.number} ({image.name}) is malformed ({error}). "
                "Correct it, or remove the annotation."
            ) from error
    return union


def _runs_of(segmentation: Any, height: int, width: int) -> Iterator[Sequence[int]]:
    """Yield the lengths of runs, column by column and beginning with zeros, of each polygon or of the runs given."""
    if isinstance(segmentation, list):
        for polygon in segmentation:
            if not isinstance(polygon, list) or len(polygon) < FEWEST_NUMBERS or len(polygon) % 2:
                raise ValueError("a polygon needs x and y of at least three points")
            if not all(map(_is_finite, polygon)):
                raise ValueError("a polygon's coordinates must be numbers")
            if (length := _outline_of(polygon)) > LONGEST_OUTLINE_PX:
                raise ValueError(f"a polygon's outline is {length:.3g} px long, so its coordinates are no pixels")
        for runs in coco_mask.frPyObjects(segmentation, height, width):
            yield _lengths_of(runs["counts"])
        return
    yield _lengths_in(segmentation, height, width)


def mask_of_runs(segmentation: Mapping[str, Any], height: int, width: int) -> Mask:
    """Return the mask bool[H, W] of runs, compressed or not.

    Raises `ValueError`, `TypeError` or `KeyError` if they are malformed.
    """
    return _decoded(_lengths_in(segmentation, height, width), height, width)


def _lengths_in(segmentation: Mapping[str, Any], height: int, width: int) -> Sequence[int]:
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"its runs are of an image of {segmentation['size']}, the image is [{height}, {width}]")
    counts = segmentation["counts"]
    lengths = _lengths_of(counts.encode()) if isinstance(counts, str) else counts
    if not all(_is_number(length) and length >= 0 for length in lengths) or sum(lengths) != height * width:
        raise ValueError(f"its runs must be whole numbers that sum to {height * width}")
    return lengths


def _outline_of(polygon: Sequence[float]) -> float:
    """The length in pixels, the longer of both directions of each side counted."""
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _lengths_of(compressed: bytes) -> list[int]:
    """Read COCO's compressed runs: numbers in groups of five bits.

    From the fourth number on, each is the change to the last but one.
    Example: `b"04"` are the lengths 0 and 4.
    """
    lengths: list[int] = []
    value, shift = 0, 0
    for byte in compressed:
        digit = byte - 48
        if not 0 <= digit < 64:
            raise ValueError("its compressed runs hold a character that COCO does not use")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:  # more groups follow
            continue
        if digit & 16:  # the highest bit of the last group is the sign
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("its compressed runs end within a number")
    return lengths


def _decoded(lengths: Sequence[int], height: int, width: int) -> Mask:
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def _categories(path: Path, found: Mapping[str, Any]) -> dict[str, str]:
    names = {}
    for place, entry in enumerate(_list(path, found, "categories") if "categories" in found else []):
        where = f"{path}: categories[{place}]"
        names[_number_of(where, entry, "id")] = _value(where, entry, "name", _is_text)
    return names


def _regions_by_image(path: Path, found: Mapping[str, Any], categories: Mapping[str, str]) -> dict[str, list[Region]]:
    regions: dict[str, list[Region]] = {}
    for place, entry in enumerate(_list(path, found, "annotations")):
        where = f"{path}: annotations[{place}]"
        image = _number_of(where, entry, "image_id")
        category = str(entry.get("category_id"))
        if categories and category not in categories:
            raise UserError(f"{where}: category_id {category} is not in 'categories'. {MALFORMED}")
        segmentation = entry.get("segmentation")
        if segmentation is not None and not isinstance(segmentation, (list, dict)):
            raise UserError(f"{where}: 'segmentation' must be polygons or runs. {MALFORMED}")
        number = str(entry.get("id", place))
        region = Region(number, categories.get(category, category), segmentation, bool(entry.get("iscrowd", 0)))
        regions.setdefault(image, []).append(region)
    return regions


def refuse_unknown_categories(annotations: Annotations, wanted: Sequence[str]) -> None:
    """Raise `UserError` for a category that the file does not name."""
    for name in wanted:
        if name not in annotations.categories:
            raise UserError(
                f"--categories: {annotations.path} has no category '{name}'. "
                f"{did_you_mean(name, annotations.categories)}"
            )


def _name(where: str, entry: Mapping[str, Any]) -> str:
    """The image's path below the folder of images; one that leads out of it is refused."""
    name = composed(_value(where, entry, "file_name", _is_text).replace("\\", "/"))
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise UserError(f"{where}: file_name '{name}' leads out of the folder of images. Make it relative to --images.")
    return str(path)


def _list(path: Path, found: Mapping[str, Any], key: str) -> Sequence[Any]:
    entries = found[key]
    if not isinstance(entries, list):
        raise UserError(f"{path}: '{key}' must be a list. {MALFORMED}")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UserError(f"{path}: {key}[{place}] must be a block of keys. {MALFORMED}")
    return entries


def _value(where: str, entry: Mapping[str, Any], key: str, is_right: Callable[[Any], bool]) -> Any:
    if key not in entry:
        raise UserError(f"{where}: lacks '{key}'. {MALFORMED}")
    if not is_right(entry[key]):
        raise UserError(f"{where}: '{key}' is {str(entry[key])[:40]!r}, which cannot be. {MALFORMED}")
    return entry[key]


def _number_of(where: str, entry: Mapping[str, Any], key: str) -> str:
    """The number or name by which entries name each other; some programs write numbers in quotes in one place alone."""
    return str(_value(where, entry, key, lambda value: _is_number(value) or _is_text(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_side(value: Any) -> bool:
    return _is_finite(value) and value == int(value) and 0 < value <= LARGEST_SIDE_PX


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
