"""What all formats of labels say: which objects of which classes an image shows, as polygons or as masks.

The pixels of a polygon are those of `data.masks.packed.fill_polygons` whatever the format: points are pixels, fractions
are rounded, the outline belongs to it, and the polygons of an object unite. No polygon has a hole; a mask may.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data.check.checks import UnknownClasses
from data.masks import rle
from data.masks.outline import outlines_of_runs
from data.masks.packed import fill_polygons
from data.masks.rle import Runs
from utils.arrays import Floats, Mask, Ring, Size
from utils.config.messages import shown
from utils.errors import UserError
from utils.text import composed, list_names, pluralize

FARTHEST_PX = 2**20
"""From the image's corner; the readers of labels refuse points farther away."""
FEWEST_POINTS = 3


@dataclass(frozen=True)
class Region:
    """One object of a class, in one or several parts.

    `rings` are the points float64[N, 2] of polygons as they were written, `masks` the runs of masks in the image.
    `is_crowd`: it covers several objects that were not told apart.
    """

    label: str
    rings: tuple[Floats, ...] = ()
    masks: tuple[Runs, ...] = ()
    is_crowd: bool = False


@dataclass(frozen=True)
class Labelled:
    """An image and its objects. `name` is its path below the folder of images, with slashes, composed (NFC)."""

    name: str
    size_hw: Size
    regions: tuple[Region, ...] = ()


@dataclass
class LabelSet:
    """The labels of many images.

    `colours` has the classes in order, each with its colour as `#rrggbb`, empty if it has none. `lost` counts what a
    reader found and cannot be passed on.
    """

    images: list[Labelled]
    colours: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in order."""
        return list(self.colours)


def with_classes(labels: LabelSet, wanted: Mapping[str, str], source: Path) -> LabelSet:
    """Return the labels with these classes and colours, in this order; without any, with those that it names or uses.

    Raises `UserError` for a label that is none of them, with the list.
    """
    used = dict.fromkeys(region.label for image in labels.images for region in image.regions)
    if not wanted:
        return LabelSet(
            labels.images, {**labels.colours, **{name: "" for name in used if name not in labels.colours}}, labels.lost
        )
    unknown = [name for name in used if name not in wanted]
    if unknown:
        raise UnknownClasses([source], unknown, list(wanted))
    return LabelSet(labels.images, dict(wanted), labels.lost)


def points_of(values: Any, where: str) -> Floats:
    """Check the points of a polygon, a list of [x, y]. Raises `UserError` that begins with `where`."""
    try:
        points = np.asarray(values)
    except (ValueError, OverflowError, RecursionError):  # Rows of unequal length, or whole numbers beyond 64 bits.
        points = np.empty(0)
    if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"{where}: points are not [x, y] pairs of numbers. Correct the label.")
    if len(points) < FEWEST_POINTS:
        raise UserError(
            f"{where}: {pluralize(len(points), 'point')}, a polygon needs {FEWEST_POINTS}. Correct the label."
        )
    if not (np.abs(points.astype(np.float64)) < FARTHEST_PX).all():  # Also false for NaN.
        raise UserError(f"{where}: a point is infinite or farther than {FARTHEST_PX} px away. Correct the label.")
    return points.astype(np.float64)


def rounded(points: Floats) -> Ring:
    """Return the points as pixels."""
    ring: Ring = np.rint(points).astype(np.int32)
    return ring


def mask_of(region: Region, size_hw: Size) -> Mask:
    """Return the pixels of an object, bool[H, W]."""
    packed = fill_polygons(((0, rounded(ring)) for ring in region.rings), size_hw, 1)[..., 0] != 0
    for runs in region.masks:
        packed |= rle.decode([runs], size_hw)[..., 0] != 0
    return np.asarray(packed)


def runs_of(mask: Mask) -> Runs:
    """Return the runs of a mask bool[H, W]."""
    return rle.encode(np.ascontiguousarray(mask).astype(np.uint8)[..., None], 1)[0]


def rings_of(region: Region, width: int) -> list[Ring]:
    """Return polygons that together fill the pixels of an object: its own, and the outlines of its masks.

    A mask with holes is cut into parts without.
    """
    traced = [ring for runs in region.masks for ring in outlines_of_runs(runs, width)]
    return [*map(rounded, region.rings), *traced]


def plain(points: Iterable[Sequence[float]]) -> list[list[float]]:
    """Return points as JSON holds them: whole numbers without a fraction."""
    return [[int(value) if value == int(value) else float(value) for value in point] for point in points]


def relative_name(text: str, where: str) -> str:
    """Return an image's path below the folder of images. Raises `UserError` for one that leads out of it."""
    name = composed(text.replace("\\", "/"))
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name or (len(name) > 1 and name[1] == ":"):
        raise UserError(
            f"{where}: the image's name {shown(text)} leads out of the folder of images. Make it relative to it."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise UserError(f"{where}: the image's name {text!a} holds characters that no text file can. Rename it.")
    return str(path)


def refuse_twice(names: Sequence[str], source: Path) -> None:
    """Raise `UserError` for an image that has two labels."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{source}: {list_names(twice)}: more than one label names the image. Keep one of them.")
