"""The CSV of predictions as labels: each class of an image is one object.

A mask without holes becomes polygons that fill to the same pixels; one with holes stays a mask.
"""

from __future__ import annotations

import csv
from pathlib import Path

from data.convert.images import ImageFolder
from data.convert.model import Labelled, LabelSet, Region
from data.convert.settings import Settings
from data.masks.outline import cuts, outlines_of_runs
from data.masks.rle import Runs, decode
from data.submission.reader import read_submission
from utils.arrays import Size
from utils.errors import UserError
from utils.text import composed, printable


def read(source: Path, settings: Settings) -> LabelSet:
    """Read a CSV of predictions. Raises `UserError` that names the row, and for images that are not there."""
    if settings.images is None:
        raise UserError(f"{source}: predictions do not say how large their images are. Name these with --images.")
    images = ImageFolder(settings.images)
    classes = _classes(source)
    submission = read_submission(source, classes)
    by_base = {f"{Path(stem).name}.png": names for stem, names in images.by_stem.items()}
    name_of = {}
    for name in submission.names:
        names = by_base.get(composed(name), [])
        if len(names) != 1:
            found = f"{len(names)} images in {images.folder} are {printable(name)}"
            raise UserError(f"{source}: {found}, expected one. Name the folder of its images with --images.")
        name_of[name] = names[0]
    sizes = images.sizes_of(name_of.values(), source)
    labels = LabelSet([], dict.fromkeys(classes, ""))
    for name, file in name_of.items():
        runs_of_classes = submission.of(name, sizes[file])
        regions = [
            region_of(label, runs, sizes[file])
            for label, runs in zip(classes, runs_of_classes, strict=True)
            if len(runs)
        ]
        labels.images.append(Labelled(file, sizes[file], tuple(regions)))
    return labels


def region_of(label: str, runs: Runs, size_hw: Size) -> Region:
    """Return a mask as polygons, or as it is if it has holes."""
    if cuts(decode([runs], size_hw)[..., 0]):
        return Region(label, masks=(runs,))
    return Region(label, tuple(ring.astype(float) for ring in outlines_of_runs(runs, size_hw[1])))


def _classes(source: Path) -> list[str]:
    """Return the classes that the rows name, in the order in which they first occur."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(1 << 30)
            return list(dict.fromkeys(row[1] for row in list(csv.reader(file))[1:] if len(row) == 3))
    except OSError as error:
        raise UserError(
            f"{source.absolute()}: cannot be read ({error.strerror}). Name the CSV of a prediction."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{source}: is no CSV. Name the CSV of a prediction.") from error
