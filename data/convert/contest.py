"""The contest's JSON: one file for each image, its entries of a class are one object, holes are cut open.

A file does not state its image's size rightly, so the images are needed to read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.convert.images import ImageFolder, stem_of
from data.convert.model import Labelled, LabelSet, Region, points_of, refuse_twice, rings_of
from data.convert.output import write_files
from data.convert.settings import Settings, label_files
from data.polygons.annotation import document_of, label_text, rings_in
from data.polygons.layout import IMAGES, LABELS
from utils.config.messages import shown
from utils.errors import UserError
from utils.text import composed


def read(source: Path, settings: Settings) -> LabelSet:
    """Read a split folder, a folder of labels, or one label. Raises `UserError` that names file and class."""
    folder = source / LABELS if (source / LABELS).is_dir() else source
    images = ImageFolder(settings.images or _images_beside(folder))
    labels = LabelSet([])
    name_of = {}
    for path, stem in label_files(folder):
        if source.is_file():
            stem = _stem_of_one(source, images)
        name_of[path] = images.name_of_stem(stem, path)
    refuse_twice(list(name_of.values()), folder)
    sizes = images.sizes_of(name_of.values(), folder)
    for path, name in name_of.items():
        rings: dict[str, list[Any]] = {}
        for label, points in _polygons(path, labels):
            rings.setdefault(label, []).append(points)
        regions = tuple(Region(label, tuple(parts)) for label, parts in rings.items())
        labels.images.append(Labelled(name, sizes[name], regions))
    return labels


def _polygons(path: Path, labels: LabelSet) -> Iterator[tuple[str, Any]]:
    """Yield class and points of each polygon, in the file's order; count what is said beside."""
    document = document_of(path)
    labels.lost["attributes of files"] += bool(document.get("attributes"))
    for number, entry in enumerate(document["annotations"], 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise UserError(f"{path}: annotation {number} has no 'label'. Each needs a label and points.")
        if entry.get("attributes"):
            labels.lost["attributes of shapes"] += 1
        label = composed(entry["label"])
        for points in rings_in(entry.get("points")):
            yield label, points_of(points, f"{path}: {shown(label)}")


def _images_beside(folder: Path) -> Path:
    """Return the folder of the images of a folder of labels, or of one label in its group's folder."""
    for above in (folder, *folder.absolute().parents[:2]):
        if (above.parent / IMAGES).is_dir() and above.name == LABELS:
            return above.parent / IMAGES
    raise UserError(
        f"{folder}: labels of the contest do not say how large their images are, and there is no folder {IMAGES}/ "
        "beside them. Name the folder of images with --images."
    )


def _stem_of_one(source: Path, images: ImageFolder) -> str:
    """Return the path of the image of a single label: in its group's folder, or at the top."""
    inner = f"{source.absolute().parent.name}/{source.stem}"
    return inner if composed(inner) in images.by_stem else source.stem


def names_of(images: Sequence[str], target: Path, settings: Settings) -> dict[str, str]:
    """Return the path of each image's label below `target`: `ID001/a.json` for `ID001/a.png`."""
    return {name: f"{stem_of(name)}.json" for name in images}


def write(labels: LabelSet, target: Path, settings: Settings) -> None:
    """Write a folder of labels."""
    names = names_of([image.name for image in labels.images], target, settings)
    write_files(target, ((names[image.name], text_of(image, labels.classes)) for image in labels.images), names)


def text_of(image: Labelled, classes: list[str]) -> str:
    """Return the contest's JSON of one image."""
    index_of = {name: index for index, name in enumerate(classes)}
    polygons = [
        (index_of[region.label], ring) for region in image.regions for ring in rings_of(region, image.size_hw[1])
    ]
    group, _, filename = image.name.rpartition("/")
    return label_text(polygons, classes, filename=filename, patient=group, size_hw=image.size_hw, attributes={})
