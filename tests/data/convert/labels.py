"""Labels with all that conversions may lose: holes, islands, shared edges, single pixels, points outside, odd names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np

from data.convert.model import Labelled, LabelSet, Region, mask_of, runs_of
from data.masks.rle import Runs
from utils.arrays import Floats, Mask, Size

SIZE_HW = (40, 52)
ODD = "왼쪽 <콩팥> & 'b'"
NAMES = ("ID001/a b.png", "ID002/한글.png", "ID003/c.1.png", "ID004/empty.png")


def ring(*points: tuple[float, float]) -> Floats:
    return np.array(points, np.float64)


def with_hole() -> Runs:
    """A mask with a hole that holds an island, and a hole at the border of another part."""
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[4:20, 5:24], mask[8:16, 9:20], mask[11:13, 12:14] = True, False, True
    mask[30:38, 30:50], mask[31, 31:49] = True, False
    return runs_of(mask)


def noise(seed: int) -> Runs:
    return runs_of(np.random.default_rng(seed).random(SIZE_HW) < 0.4)


def hostile() -> LabelSet:
    edge = Region("left", (ring((3, 3), (20, 3), (20, 20), (3, 20)),))
    shared = Region("right", (ring((20, 3), (40, 3), (40, 20), (20, 20)),))
    islands = Region(
        ODD, (ring((1, 30), (9, 30), (5, 37)), ring((50, 1), (50, 1), (50, 1)), ring((30, 30), (34, 30), (30, 30)))
    )
    beyond = Region("left", (ring((-9.5, 10.5), (60.25, 12.5), (25.5, 99.75)),))
    holed = Region("right", (ring((45, 5), (48, 5), (48, 9)),), (with_hole(), noise(1)))
    crowd = Region(ODD, masks=(noise(2),), is_crowd=True)
    images = [
        Labelled(NAMES[0], SIZE_HW, (edge, shared, islands, beyond)),
        Labelled(NAMES[1], SIZE_HW, (holed, crowd, islands)),
        Labelled(NAMES[2], SIZE_HW, (Region("left", masks=(with_hole(),)), edge)),
        Labelled(NAMES[3], SIZE_HW),
    ]
    return LabelSet(images, {"left": "", ODD: "", "right": "#ff8800"})


def write_images(folder: Path, size_hw: Size = SIZE_HW) -> None:
    """Write the images; the name of one is stored decomposed, as macOS does."""
    for name in NAMES:
        path = folder / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", np.zeros(size_hw, np.uint8))[1].tobytes())


def masks_in(labels: LabelSet) -> dict[tuple[str, str], Mask]:
    """The pixels of each class in each image, of those that have any."""
    found: dict[tuple[str, str], Mask] = {}
    for image in labels.images:
        for region in image.regions:
            key = (image.name, region.label)
            found[key] = found.get(key, np.zeros(image.size_hw, np.bool_)) | mask_of(region, image.size_hw)
    return found


def same_masks(one: LabelSet, other: LabelSet) -> bool:
    a, b = masks_in(one), masks_in(other)
    return (
        sorted(image.name for image in one.images) == sorted(image.name for image in other.images)
        and a.keys() == b.keys()
        and all(np.array_equal(a[key], b[key]) for key in a)
    )
