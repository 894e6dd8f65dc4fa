"""Check single labels: broken ones, points outside the image, several outlines of a class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data.check.checks import LabelFacts, fault_of
from data.check.finding import Finding
from data.hand_bone.annotation import MISSING_CLASS, survey_polygons
from data.hand_bone.checks.shapes import shape_of
from data.hand_bone.classes import BONES
from data.hand_bone.fit import is_outside, misfit_of, scale_misfit_of
from utils.arrays import Image, Ints, Ring, Size

BEYOND_PX = 2
"""Points so far outside the image pass: drawing programs let outlines end on its border."""

_OTHER_FRAME = 0.25
"""With this share of all points outside, the whole label is likely to be in another frame."""


def look_at_label(path: Path, file: str, exclude: str | None, size_hw: Size | None, small: Image | None) -> LabelFacts:
    """Read one label; `size_hw` and `small` are its image's size and the shrunk image; None if it was not read."""
    polygons, errors = survey_polygons(path, BONES)
    faults = []
    for error in errors:
        classes = tuple(error.label.split(", ")) if error.label else ()
        found = "not annotated" if error.kind == MISSING_CLASS else fault_of(error, path, error.label)
        faults.append(Finding(error.kind, file, found, classes, exclude))
    if size_hw is not None:
        faults += _outside(polygons, size_hw, file, exclude)
        outlines = [ring for _, ring in polygons]
        misfit = misfit_of(outlines, size_hw)
        if misfit is None and small is not None:
            misfit = scale_misfit_of(outlines, size_hw, small)
        faults += [Finding("frame", file, misfit, BONES, exclude, oddness=10.0)] if misfit else []
    faults += _several(polygons, file)
    rings = sorted((index, ring.tobytes()) for index, ring in polygons)
    digest = hashlib.blake2b(b"".join(points for _, points in rings), digest_size=16).digest() if rings else b""
    shape = shape_of(polygons, size_hw) if polygons and size_hw is not None else None
    return LabelFacts(file, exclude, tuple(faults), digest, shape)


def _outside(polygons: Sequence[tuple[int, Ring]], size_hw: Size, file: str, exclude: str | None) -> Iterator[Finding]:
    """Yield at most two findings: the bones that are nowhere in the image, and those that leave it."""
    frame = f"{size_hw[1]} x {size_hw[0]} px"
    gone = sorted({index for index, ring in polygons if is_outside(ring, size_hw)})
    if gone:
        yield Finding(
            "off_image", file, f"wholly outside {frame}", tuple(BONES[index] for index in gone), exclude, 10.0
        )
    beyond = [(index, _beyond(ring, size_hw)) for index, ring in polygons if index not in gone]
    leaving = sorted({index for index, px in beyond if px.max() > BEYOND_PX})
    if not leaving:
        return
    farthest, outside = max(int(px.max()) for _, px in beyond), sum(int((px > BEYOND_PX).sum()) for _, px in beyond)
    points = sum(len(px) for _, px in beyond)
    found = f"{outside} of {points} points outside {frame}, by up to {farthest} px"
    if outside > _OTHER_FRAME * points:
        found += "; is the label in the frame of another image or size?"
    classes = tuple(BONES[index] for index in leaving)
    yield Finding("outside", file, found, classes, exclude, oddness=farthest / BEYOND_PX)


def _beyond(ring: Ring, size_hw: Size) -> Ints:
    """How far each point is outside the image, [N] in pixels; not above 0 inside."""
    farthest: Ints = np.maximum(-ring, ring - (size_hw[1] - 1, size_hw[0] - 1)).max(axis=1)
    return farthest


def _several(polygons: Sequence[tuple[int, Ring]], file: str) -> Iterator[Finding]:
    counts = Counter(index for index, _ in polygons)
    for index in sorted(counts):
        if counts[index] > 1:
            yield Finding("several_entries", file, f"{counts[index]} outlines, used as one", (BONES[index],))
