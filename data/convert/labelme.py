"""labelme's JSON: one file for each image; shapes of one class with one `group_id` are the parts of an object.

A mask is written as polygons that fill to the same pixels, those of a mask with holes cut into parts without, so that
every version of labelme opens and edits them. Masks are read as they are.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import numpy as np
from PIL import Image as PillowImage

from data.convert.images import ImageFolder, stem_of
from data.convert.model import (
    Labelled,
    LabelSet,
    Region,
    plain,
    points_of,
    refuse_twice,
    relative_name,
    rings_of,
    runs_of,
)
from data.convert.output import write_files
from data.convert.settings import Others, Settings, label_files
from data.image import LARGEST_SIDE_PX
from data.masks.rle import Runs
from utils.arrays import Size
from utils.config.messages import shown
from utils.errors import UserError
from utils.files import read_json
from utils.text import composed, printable

VERSION = "5.5.0"
KNOWN = ("label", "points", "group_id", "shape_type", "mask")
KNOWN_OF_FILES = ("version", "shapes", "imagePath", "imageHeight", "imageWidth", "lineColor", "fillColor")
REMEDY = "Save the label again with labelme."


def read(source: Path, settings: Settings) -> LabelSet:
    """Read a folder of labels with the folders in it, or one label. Raises `UserError` that names file and shape."""
    labels, others = LabelSet([]), Others(settings.skip_others, Counter())
    images = None if settings.images is None else ImageFolder(settings.images)
    for path, stem in label_files(source):
        found = read_json(path, unreadable="Check the path.", malformed=REMEDY)
        if not isinstance(found, dict) or not isinstance(found.get("shapes"), list):
            raise UserError(
                f"{path}: has no list 'shapes', so it is no label of labelme. Move it elsewhere, or correct it."
            )
        name = _name_of(path, stem, found, images)
        size_hw = _size_of(path, name, found, images)
        labels.images.append(Labelled(name, size_hw, _regions(path, found["shapes"], size_hw, labels, others)))
        labels.lost.update(f"'{key}' of files" for key in found if key not in KNOWN_OF_FILES and found[key])
    others.refuse(source)
    refuse_twice([image.name for image in labels.images], source)
    return labels


def _name_of(path: Path, stem: str, found: Mapping[str, Any], images: ImageFolder | None) -> str:
    """Return the image's path below the folder of images: that to which `imagePath` leads."""
    written = found.get("imagePath")
    if not isinstance(written, str) or not written.strip():
        raise UserError(f"{path}: has no 'imagePath', so its image is not known. {REMEDY}")
    written = written.replace("\\", "/")
    if images is not None:
        place = os.path.normpath(path.absolute().parent / written)
        inside = os.path.relpath(place, os.path.abspath(images.folder))
        if composed(inside) in images.files:
            return composed(inside)
    if "/" in written.removeprefix("./"):
        where = f"{path}: its image is {printable(written)}"
        way_out = "Name the folder of images" if images is None else f"That is not in {images.folder}; name another"
        raise UserError(f"{where}, in another folder. {way_out} with --images.")
    return relative_name(str(PurePosixPath(stem).parent / PurePosixPath(written).name), str(path))


def _size_of(path: Path, name: str, found: Mapping[str, Any], images: ImageFolder | None) -> Size:
    height, width = found.get("imageHeight"), found.get("imageWidth")
    if _is_side(height) and _is_side(width):
        if images is not None:
            images.refuse_other_sizes({name: (height, width)}, path)
        return height, width
    if images is None:
        raise UserError(f"{path}: does not say how large its image is. Name the folder of images with --images.")
    return images.sizes_of([name], path)[name]


def _is_side(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_SIDE_PX


def _regions(path: Path, shapes: list[Any], size_hw: Size, labels: LabelSet, others: Others) -> tuple[Region, ...]:
    """Return the objects of one file, in the order of their first shapes."""
    objects: dict[tuple[str, Any], Region] = {}
    classes_of_group: dict[Any, set[str]] = {}
    for number, shape in enumerate(shapes, 1):
        where = f"{path}: shape {number}"
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise UserError(f"{where}: has no 'label'. {REMEDY}")
        kind, group, label = shape.get("shape_type") or "polygon", shape.get("group_id"), composed(shape["label"])
        if kind not in ("polygon", "mask"):
            others.add(f"{shown(kind)}", where)
            continue
        part = _part(label, kind, shape, size_hw, f"{where} ({shown(label)})")
        key = (label, ("alone", number) if group is None else json.dumps(group))
        before = objects.get(key, Region(label))
        objects[key] = Region(label, before.rings + part.rings, before.masks + part.masks)
        if group is not None:
            classes_of_group.setdefault(key[1], set()).add(label)
        labels.lost.update(f"'{name}' of shapes" for name in shape if name not in KNOWN and shape[name])
    labels.lost["groups over several classes"] += sum(len(names) > 1 for names in classes_of_group.values())
    return tuple(objects.values())


def _part(label: str, kind: str, shape: Mapping[str, Any], size_hw: Size, where: str) -> Region:
    if kind == "polygon":
        return Region(label, (points_of(shape.get("points"), where),))
    return Region(label, masks=(_mask(shape, size_hw, where),))


def _mask(shape: Mapping[str, Any], size_hw: Size, where: str) -> Runs:
    """Return the runs of a mask: a PNG in base64 that lies in the image from the first point on."""
    points = shape.get("points")
    if not isinstance(points, list) or len(points) != 2:
        raise UserError(f"{where}: a mask needs two points, the corners of its box. {REMEDY}")
    corners = points_of([*points, points[0]], where)
    try:
        with PillowImage.open(io.BytesIO(base64.b64decode(str(shape.get("mask"))))) as image:
            if max(image.size) > LARGEST_SIDE_PX:
                raise UserError(f"{where}: its mask has more than {LARGEST_SIDE_PX} px a side. {REMEDY}")
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, binascii.Error, PillowImage.DecompressionBombError) as error:
        raise UserError(f"{where}: its mask is no PNG in base64. {REMEDY}") from error
    left, top = (round(float(value)) for value in corners[0])
    whole = np.zeros(size_hw, np.bool_)
    if (
        pixels.ndim != 2
        or min(left, top) < 0
        or left + pixels.shape[1] > size_hw[1]
        or top + pixels.shape[0] > size_hw[0]
    ):
        raise UserError(f"{where}: its mask leaves the image of {size_hw[1]} x {size_hw[0]} px. {REMEDY}")
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels != 0
    return runs_of(whole)


def names_of(images: Sequence[str], target: Path, settings: Settings) -> dict[str, str]:
    """Return the path of each image's label below `target`, as labelme looks for it.

    With `labelme IMAGES --output target` all labels lie in `target` itself. They have the paths of their images if
    `target` is the folder of these, or if it is not known where that is.
    """
    beside = settings.images is None or target.resolve() == settings.images.resolve()
    return {name: f"{stem_of(name if beside else PurePosixPath(name).name)}.json" for name in images}


def write(labels: LabelSet, target: Path, settings: Settings) -> None:
    """Write a folder of labels, each of which leads to its image."""
    images = None if settings.images is None else ImageFolder(settings.images)
    names = names_of([image.name for image in labels.images], target, settings)
    files = {name: None if images is None else images.file_of(name, target) for name in names}
    texts = (
        (names[image.name], _text(image, _path_to(files[image.name], target / names[image.name], image.name)))
        for image in labels.images
    )
    write_files(target, texts, names)


def _path_to(file: Path | None, label: Path, name: str) -> str:
    """Return the image's path as seen from the label; beside it if it is not known where the images are."""
    if file is None:
        return PurePosixPath(name).name
    return Path(os.path.relpath(file.absolute(), label.absolute().parent)).as_posix()


def _text(image: Labelled, path_to_image: str) -> str:
    shapes: list[dict[str, Any]] = []
    groups = 0
    for region in image.regions:
        rings = [
            *(ring.tolist() for ring in region.rings),
            *(ring.tolist() for ring in rings_of(Region(region.label, masks=region.masks), image.size_hw[1])),
        ]
        groups += len(rings) > 1
        group = groups if len(rings) > 1 else None
        shapes += [
            {
                "label": region.label,
                "points": plain(points),
                "group_id": group,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for points in rings
        ]
    whole: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": path_to_image,
        "imageData": None,
        "imageHeight": image.size_hw[0],
        "imageWidth": image.size_hw[1],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
