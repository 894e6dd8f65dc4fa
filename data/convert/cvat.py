"""CVAT for images 1.1 in one XML file: shapes of one class with one `group_id` are the parts of an object.

Masks are runs in their box, row by row, that begin with pixels outside. A file with a document type is refused: it
could name other files, or grow without limit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from data.convert.images import ImageFolder
from data.convert.model import Labelled, LabelSet, Region, plain, points_of, refuse_twice, relative_name, runs_of
from data.convert.output import write_file
from data.convert.settings import Others, Settings
from data.image import LARGEST_SIDE_PX
from data.masks import rle
from data.masks.rle import Runs
from utils.arrays import Size
from utils.config.messages import shown
from utils.errors import UserError
from utils.text import composed, printable

REMEDY = "Export the task again from CVAT, as 'CVAT for images 1.1'."
REGIONS = ("polygon", "mask")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(source: Path, settings: Settings) -> LabelSet:
    """Read an XML file. Raises `UserError` that names the image and the shape."""
    root = _parsed(source)
    if root.tag != "annotations":
        raise UserError(f"{source}: is XML, but no file of CVAT. {REMEDY}")
    if root.find("track") is not None:
        raise UserError(f"{source}: holds tracks of a video. Export the task from CVAT as 'CVAT for images 1.1'.")
    labels, others = LabelSet([], _classes(root)), Others(settings.skip_others, Counter())
    images = None if settings.images is None else ImageFolder(settings.images)
    for element, name in _named(source, list(root.iter("image"))):
        size_hw = _size_of(element, f"{source}: {name}")
        labels.images.append(Labelled(name, size_hw, _regions(element, f"{source}: {name}", size_hw, labels, others)))
    others.refuse(source)
    refuse_twice([image.name for image in labels.images], source)
    if images is not None:
        images.refuse_other_sizes({image.name: image.size_hw for image in labels.images}, source)
    return labels


def _parsed(source: Path) -> ElementTree.Element:
    """Parse the file without a document type, so that no entity can be declared."""
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{source.absolute()}: cannot be read ({error.strerror}). Name an XML file of CVAT.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source}: byte {error.start + 1} is no UTF-8 text; a ZIP file must be unpacked. {REMEDY}"
        ) from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{source}: declares a document type, which no file of CVAT does. {REMEDY}")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: is not XML ({printable(str(error))}). {REMEDY}") from error


def _named(source: Path, elements: list[ElementTree.Element]) -> list[tuple[ElementTree.Element, str]]:
    """Return each image with its path; those of a project's subsets lie in folders if their names are not enough."""
    names = [element.get("name") or "" for element in elements]
    if len(set(names)) < len(names):
        names = ["/".join(filter(None, (element.get("subset"), element.get("name")))) for element in elements]
    where = (f"{source}: image {printable(element.get('id') or '?')}" for element in elements)
    return [(element, relative_name(name, place)) for element, name, place in zip(elements, names, where, strict=True)]


def _classes(root: ElementTree.Element) -> dict[str, str]:
    """Return the labels of the task or project with their colours, in order."""
    colours = {}
    for label in root.iterfind("meta//labels/label"):
        name, colour = composed(label.findtext("name") or ""), (label.findtext("color") or "").lower()
        if name:
            colours[name] = colour if re.fullmatch(r"#[0-9a-f]{6}", colour) else ""
    return colours


def _size_of(element: ElementTree.Element, where: str) -> Size:
    height, width = (_whole(element, key, where) for key in ("height", "width"))
    if not (0 < height <= LARGEST_SIDE_PX and 0 < width <= LARGEST_SIDE_PX):
        raise UserError(f"{where}: an image of {width} x {height} px cannot be. {REMEDY}")
    return height, width


def _whole(element: ElementTree.Element, key: str, where: str) -> int:
    text = (element.get(key) or "").strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise UserError(f"{where}: '{key}' is {shown(text)}, expected a whole number. {REMEDY}")
    return int(text)


def _regions(
    element: ElementTree.Element, where: str, size_hw: Size, labels: LabelSet, others: Others
) -> tuple[Region, ...]:
    """Return the objects of an image, in the order of their first shapes."""
    objects: dict[tuple[str, Any], Region] = {}
    for number, shape in enumerate(element, 1):
        label, group = composed(shape.get("label") or ""), shape.get("group_id")
        here = f"{where}: shape {number} ({shown(label)})"
        if shape.tag == "tag":
            labels.lost["tags of images"] += 1
            continue
        if shape.tag not in REGIONS:
            others.add(_kind(shape.tag), here)
            continue
        if not label:
            raise UserError(f"{here}: has no label. {REMEDY}")
        part = (
            Region(label, (_ring(shape, here),))
            if shape.tag == "polygon"
            else Region(label, masks=(_mask(shape, size_hw, here),))
        )
        key = (label, ("alone", number) if group in (None, "", "0") else group)
        before = objects.get(key, Region(label))
        objects[key] = Region(label, before.rings + part.rings, before.masks + part.masks)
        labels.lost.update(_lost_of(shape))
    return tuple(objects.values())


def _kind(tag: str) -> str:
    return {"box": "boxes", "polyline": "polylines", "ellipse": "ellipses", "cuboid": "cuboids"}.get(
        tag, printable(str(tag))
    )


def _lost_of(shape: ElementTree.Element) -> Iterator[str]:
    yield from ("attributes of shapes" for _ in shape.iter("attribute"))
    for key, usual in (("occluded", "0"), ("z_order", "0")):
        if shape.get(key, usual) != usual:
            yield f"'{key}' of shapes"


def _ring(shape: ElementTree.Element, where: str) -> Any:
    try:
        pairs = [[float(number) for number in pair.split(",")] for pair in (shape.get("points") or "").split(";")]
    except ValueError as error:
        raise UserError(f"{where}: points are not 'x,y;x,y;…'. {REMEDY}") from error
    return points_of(pairs, where)


def _mask(shape: ElementTree.Element, size_hw: Size, where: str) -> Runs:
    left, top, width, height = (_whole(shape, key, where) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size_hw[1] or top + height > size_hw[0]:
        raise UserError(f"{where}: its mask leaves the image of {size_hw[1]} x {size_hw[0]} px. {REMEDY}")
    counts = (shape.get("rle") or "").split(",")
    if not all(re.fullmatch(r"\s*[0-9]{1,9}\s*", count) for count in counts) or sum(map(int, counts)) != width * height:
        raise UserError(f"{where}: its runs must be whole numbers that sum to {width} x {height}. {REMEDY}")
    lengths = [int(count) for count in counts]
    whole = np.zeros(size_hw, np.bool_)
    whole[top : top + height, left : left + width] = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(
        height, width
    )
    return runs_of(whole)


def write(labels: LabelSet, target: Path, settings: Settings) -> None:
    """Write one XML file. Raises `UserError` for a name that XML cannot hold."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    listed = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for name, colour in labels.colours.items():
        _refuse_unwritable(name)
        label = ElementTree.SubElement(listed, "label")
        ElementTree.SubElement(label, "name").text = name
        if colour:
            ElementTree.SubElement(label, "color").text = colour
        ElementTree.SubElement(label, "attributes")
    for number, image in enumerate(labels.images):
        _refuse_unwritable(image.name)
        size = {"width": str(image.size_hw[1]), "height": str(image.size_hw[0])}
        element = ElementTree.SubElement(root, "image", {"id": str(number), "name": image.name, **size})
        _add_shapes(element, image)
    ElementTree.indent(root)
    write_file(
        target, '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
    )


def _refuse_unwritable(name: str) -> None:
    if _NOT_IN_XML.search(name):
        raise UserError(f"{name!a}: holds a character that no XML file can. Rename it.")


def _add_shapes(element: ElementTree.Element, image: Labelled) -> None:
    groups = 0
    for region in image.regions:
        several = len(region.rings) + len(region.masks) > 1
        groups += several
        shared = {"label": region.label, "source": "manual", "occluded": "0"}
        group = {"group_id": str(groups)} if several else {}
        for ring in region.rings:
            points = ";".join(f"{x!r},{y!r}" for x, y in plain(ring.tolist()))
            ElementTree.SubElement(element, "polygon", {**shared, "points": points, "z_order": "0", **group})
        for runs in region.masks:
            if len(runs):
                ElementTree.SubElement(
                    element, "mask", {**shared, **_box_and_runs(runs, image.size_hw), "z_order": "0", **group}
                )


def _box_and_runs(runs: Runs, size_hw: Size) -> dict[str, str]:
    mask = rle.decode([runs], size_hw)[..., 0] != 0
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = inside.shape
    changes = np.flatnonzero(np.diff(inside.reshape(-1).astype(np.int8), prepend=0))
    counts = np.diff(changes, prepend=0, append=height * width).tolist()
    return {
        "rle": ", ".join(map(str, counts)),
        "left": str(columns[0]),
        "top": str(rows[0]),
        "width": str(width),
        "height": str(height),
    }
