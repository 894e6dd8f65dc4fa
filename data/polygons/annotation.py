"""The contest's JSON becomes polygons; one file names classes, in any order, a class perhaps in several pieces.

Only `annotations` is read. The file's `filename` (ends in `.jpg`) and `metadata` (says 3060 x 3060) are wrong in the
published data: points are in the image's own frame and are never scaled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.check.checks import OTHER_CLASSES, OtherClasses, UnknownClasses
from utils.arrays import Ring, Size
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.text import composed

BAD_LABEL, UNKNOWN_CLASS, MISSING_CLASS = "bad_label", "unknown_class", "missing_class"
FEW_POINTS, BAD_POINTS = "few_points", "bad_points"

_DEEPEST = 8  # Two lists around a number make a ring, three a group of rings; a fourth has been seen.
_FARTHEST_PX = 2**20  # Far outside any image, and far inside what 32 bits and the rasteriser's fractions hold.


class LabelError(UserError):
    """A fault of one label; `label` is the annotation's own name for the class, None where it is the whole file."""

    def __init__(self, message: str, kind: str = BAD_LABEL, label: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.label = kind, label


def read_polygons(path: Path, classes: Sequence[str], *, allow_missing: bool = False) -> list[tuple[int, Ring]]:
    """Read (class index, ring) pairs, in the file's order; rings of one class are meant as a union.

    Fractions of a pixel are rounded. Raises `UserError` that names file and label for bad JSON, an unknown or
    (without `allow_missing`) a missing class, and points that are not at least three pairs of finite numbers.
    """
    polygons, faults = survey_polygons(path, classes)
    unknown = list(dict.fromkeys(str(fault.label) for fault in faults if fault.kind == UNKNOWN_CLASS))
    for fault in faults:
        if fault.kind == OTHER_CLASSES:
            raise OtherClasses([path], str(fault.label).split(", "))
        if fault.kind == UNKNOWN_CLASS:
            raise UnknownClasses([path], unknown, classes)
        if not (allow_missing and fault.kind == MISSING_CLASS):
            raise fault
    return polygons


def label_text(
    polygons: Iterable[tuple[int, Ring]],
    classes: Sequence[str],
    *,
    filename: str,
    patient: str,
    size_hw: Size,
    attributes: Mapping[str, Any],
) -> str:
    """A label as the contest writes it, one annotation for each (class index, ring) pair: `read_polygons` gives them.

    `attributes` may say anything of the whole label.
    """
    annotations = [
        {"id": f"{index:04}", "type": "poly_seg", "attributes": {}, "points": ring.tolist(), "label": classes[of]}
        for index, (of, ring) in enumerate(polygons)
    ]
    about = {
        "attributes": dict(attributes),
        "file_id": Path(filename).stem,
        "filename": filename,
        "parent_path": f"/{patient}",
        "last_modifier_id": "",
        "metadata": {"height": size_hw[0], "width": size_hw[1]},
        "last_workers": [],
    }
    return json.dumps({"annotations": annotations, **about}, separators=(",", ":"), ensure_ascii=False)


def is_outside(ring: Ring, size_hw: Size) -> bool:
    """Whether a polygon lies wholly outside an image."""
    return bool((ring.max(axis=0) < 0).any() or (ring.min(axis=0) >= size_hw[::-1]).any())


def survey_polygons(path: Path, classes: Sequence[str]) -> tuple[list[tuple[int, Ring]], list[LabelError]]:
    """All that can be read of a label, as `read_polygons` does, and all that is wrong with it."""
    polygons: list[tuple[int, Ring]] = []
    faults: list[LabelError] = []
    try:
        for entry in document_of(path)["annotations"]:
            _take(entry, path, classes, polygons, faults)
    except LabelError as error:
        return [], [error]
    named = {index for index, _ in polygons} | {classes.index(f.label) for f in faults if f.label in classes}
    unknown = dict.fromkeys(str(fault.label) for fault in faults if fault.kind == UNKNOWN_CLASS)
    if len(unknown) > 1 and not named:
        return [], [LabelError(f"{path}: none of these is a class of the task", OTHER_CLASSES, ", ".join(unknown))]
    faults += _missing(path, [name for index, name in enumerate(classes) if index not in named])
    return polygons, faults


def _take(
    entry: Any, path: Path, classes: Sequence[str], polygons: list[tuple[int, Ring]], faults: list[LabelError]
) -> None:
    """Add what an annotation holds to `polygons`, and what is wrong with it to `faults`."""
    try:
        polygons += _polygons_of(entry, path, classes)
    except LabelError as error:
        faults.append(error)


def _missing(path: Path, names: Sequence[str]) -> list[LabelError]:
    """The one fault of a label without these classes; none where no class is missing."""
    if not names:
        return []
    listed = ", ".join(names)
    message = f"{path}: no annotation of {listed}. Complete the label or list the image in data.exclude."
    return [LabelError(message, MISSING_CLASS, listed)]


def document_of(path: Path) -> dict[str, Any]:
    """Read a label whole, with its list `annotations`. Raises `UserError` if it is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        entries = document["annotations"]
    except OSError as error:
        raise LabelError(f"{path}: the label cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not valid JSON ({_reason(error)}). Copy the label again from its source.") from error
    except (KeyError, TypeError) as error:
        raise LabelError(f"{path}: no list 'annotations' at the top level. Is it a label of this data set?") from error
    if not isinstance(entries, list):
        raise LabelError(f"{path}: 'annotations' is not a list. Is it a label of this data set?")
    return dict(document)


def _reason(error: ValueError | RecursionError) -> str:
    """What helps whoever mends the file; Python would name codecs and limits of its own."""
    if isinstance(error, json.JSONDecodeError):
        text = error.doc.rstrip()
        whole = text.endswith(("}", "]")) or error.msg == "Extra data"
        return f"{'' if whole else 'its end is missing; '}{error}" if text else "the file is empty"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is no UTF-8 text"
    return "nested too deep" if isinstance(error, RecursionError) else "a number of thousands of digits"


def _polygons_of(entry: Any, path: Path, classes: Sequence[str]) -> Iterator[tuple[int, Ring]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
        raise LabelError(f"{path}: an annotation without a 'label'. Each needs a label and points.")
    label = composed(entry["label"])
    index = _index_of(label, path, classes)
    for points in rings_in(entry.get("points")):
        yield index, _ring(points, path, label)


def _index_of(label: str, path: Path, classes: Sequence[str]) -> int:
    try:
        return classes.index(label)
    except ValueError:
        from utils.config.messages import shown

        message = f"{path}: {shown(label)} is not a class. {did_you_mean_of_all(label, classes)}"
        raise LabelError(message, UNKNOWN_CLASS, label) from None


def rings_in(points: Any, deepest: int = _DEEPEST) -> Iterator[Any]:
    """The rings of a `points` value: itself, or, one level of nesting deeper, each of its members."""
    if deepest and _nesting(points) > 2:
        for part in points:
            yield from rings_in(part, deepest - 1)
    else:
        yield points


def _nesting(value: Any) -> int:
    """How many lists lie around the first number."""
    depth = 0
    while isinstance(value, list) and value:
        depth, value = depth + 1, value[0]
    return depth


def _ring(points: Any, path: Path, label: str) -> Ring:
    where = f"{path}: {label}"
    try:
        ring = np.asarray(points)
    except (ValueError, RecursionError):  # Rows of unequal length, or lists in lists without end.
        ring = np.empty(0)
    if ring.dtype.kind not in "iuf" or ring.ndim != 2 or ring.shape[1] != 2:
        raise LabelError(f"{where}: points are not [x, y] pairs of numbers. Mend the label.", BAD_POINTS, label)
    if len(ring) < 3:
        message = f"{where}: {len(ring)} points, a polygon needs at least 3. Mend the label."
        raise LabelError(message, FEW_POINTS, label)
    if not (np.abs(ring) < _FARTHEST_PX).all():  # Also false for NaN.
        message = f"{where}: a point is infinite or farther than {_FARTHEST_PX} px away. Mend the label."
        raise LabelError(message, BAD_POINTS, label)
    rounded: Ring = np.rint(ring).astype(np.int32)
    return rounded
