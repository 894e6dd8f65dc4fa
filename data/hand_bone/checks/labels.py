"""Check single labels of hands: what any task of polygons checks, and that the outlines are those of a hand."""

from __future__ import annotations

from pathlib import Path

from data.check.checks import LabelFacts
from data.check.finding import Finding
from data.hand_bone.checks.shapes import shape_of
from data.hand_bone.classes import BONES
from data.hand_bone.fit import misfit_of, scale_misfit_of
from data.polygons.checks import digest_of, faults_of
from utils.arrays import Image, Size


def look_at_label(path: Path, file: str, exclude: str | None, size_hw: Size | None, small: Image | None) -> LabelFacts:
    """Read one label; `size_hw` and `small` are its image's size and the shrunk image; None if it was not read."""
    polygons, faults = faults_of(BONES, path, file, exclude, size_hw, all_classes=True)
    if size_hw is not None:
        outlines = [ring for _, ring in polygons]
        misfit = misfit_of(outlines, size_hw)
        if misfit is None and small is not None:
            misfit = scale_misfit_of(outlines, size_hw, small)
        faults += [Finding("frame", file, misfit, BONES, exclude, oddness=10.0)] if misfit else []
    shape = shape_of(polygons, size_hw) if polygons and size_hw is not None else None
    return LabelFacts(file, exclude, tuple(faults), digest_of(polygons), shape)
