"""Check single labels: broken ones, points outside the image, several outlines of a class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data.check.checks import LabelFacts, fault_of
from data.check.finding import Finding, Kind, reworded
from data.polygons.annotation import MISSING_CLASS, is_outside, survey_polygons
from utils.arrays import Image, Ints, Ring, Size

BEYOND_PX = 2
"""Points so far outside the image pass: drawing programs let outlines end on its border."""

_OTHER_FRAME = 0.25
"""With this share of all points outside, the whole label is likely to be in another frame."""

KINDS: dict[str, Kind] = {
    **reworded("bad_label", expected="JSON with a list 'annotations' of labels and points"),
    "several_entries": Kind("note", "Several outlines of a class", "usually one; their union is used", "Nothing."),
}


def look_at_label(
    classes: Sequence[str], path: Path, file: str, exclude: str | None, size_hw: Size | None, small: Image | None
) -> LabelFacts:
    """Read one label, which may lack classes; `size_hw` is its image's size, None if it was not read."""
    polygons, faults = faults_of(classes, path, file, exclude, size_hw, all_classes=False)
    return LabelFacts(file, exclude, tuple(faults), digest_of(polygons))


def faults_of(
    classes: Sequence[str], path: Path, file: str, exclude: str | None, size_hw: Size | None, *, all_classes: bool
) -> tuple[list[tuple[int, Ring]], list[Finding]]:
    """Return what can be read of a label, and what is wrong with it."""
    polygons, errors = survey_polygons(path, classes)
    faults = []
    for error in errors:
        if error.kind == MISSING_CLASS and not all_classes:
            continue
        names = tuple(error.label.split(", ")) if error.label else ()
        found = "not annotated" if error.kind == MISSING_CLASS else fault_of(error, path, error.label)
        faults.append(Finding(error.kind, file, found, names, exclude))
    if size_hw is not None:
        faults += _outside(classes, polygons, size_hw, file, exclude)
    return polygons, [*faults, *_several(classes, polygons, file)]


def digest_of(polygons: Sequence[tuple[int, Ring]]) -> bytes:
    """Return a digest of what a label draws, whatever the order; empty if it draws nothing."""
    rings = sorted((index, ring.tobytes()) for index, ring in polygons)
    return hashlib.blake2b(b"".join(points for _, points in rings), digest_size=16).digest() if rings else b""


def _outside(
    classes: Sequence[str], polygons: Sequence[tuple[int, Ring]], size_hw: Size, file: str, exclude: str | None
) -> Iterator[Finding]:
    """Yield at most two findings: the classes that are nowhere in the image, and those that leave it."""
    frame = f"{size_hw[1]} x {size_hw[0]} px"
    gone = sorted({index for index, ring in polygons if is_outside(ring, size_hw)})
    if gone:
        names = tuple(classes[index] for index in gone)
        yield Finding("off_image", file, f"wholly outside {frame}", names, exclude, 10.0)
    beyond = [(index, _beyond(ring, size_hw)) for index, ring in polygons if index not in gone]
    leaving = sorted({index for index, px in beyond if px.max() > BEYOND_PX})
    if not leaving:
        return
    farthest, outside = max(int(px.max()) for _, px in beyond), sum(int((px > BEYOND_PX).sum()) for _, px in beyond)
    points = sum(len(px) for _, px in beyond)
    found = f"{outside} of {points} points outside {frame}, by up to {farthest} px"
    if outside > _OTHER_FRAME * points:
        found += "; is the label in the frame of another image or size?"
    names = tuple(classes[index] for index in leaving)
    yield Finding("outside", file, found, names, exclude, oddness=farthest / BEYOND_PX)


def _beyond(ring: Ring, size_hw: Size) -> Ints:
    """How far each point is outside the image, [N] in pixels; not above 0 inside."""
    farthest: Ints = np.maximum(-ring, ring - (size_hw[1] - 1, size_hw[0] - 1)).max(axis=1)
    return farthest


def _several(classes: Sequence[str], polygons: Sequence[tuple[int, Ring]], file: str) -> Iterator[Finding]:
    counts = Counter(index for index, _ in polygons)
    for index in sorted(counts):
        if counts[index] > 1:
            yield Finding("several_entries", file, f"{counts[index]} outlines, used as one", (classes[index],))
