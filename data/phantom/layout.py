"""Write the contest's layout: `DCM/ID001/image….png` and `outputs_json/ID001/image….json` in each split.

The labels have the contest's oddities: annotations in random order, `filename` ending in `.jpg`, 3060 in `metadata`,
and sometimes a bone in two entries, or in two rings of one entry, whose union is the bone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from data.hand_bone.classes import BONES
from data.phantom.radiograph import Shadow
from utils.arrays import Bytes, Ints32
from utils.files import replacing, write_text

SMALLEST_PART = 0.02
"""Parts of a mask smaller than this share of its largest part are dropped; they have one or two pixels."""

SPLIT_SHARE = 0.05
"""Share of hands in which one bone is written in two parts."""

RingPoints = list[list[int]]


def write_hand(
    split_dir: Path, patient: str, name: str, image_HW: Bytes, shadows: list[Shadow], rng: Generator
) -> None:
    """Write one hand's image (three equal channels) and label; `name` is without suffix."""
    image_path = split_dir / "DCM" / patient / f"{name}.png"
    label_path = split_dir / "outputs_json" / patient / f"{name}.json"
    write_text(label_path, json.dumps(label_of(patient, name, shadows, rng), separators=(",", ":")))
    coded = cv2.imencode(".png", cv2.cvtColor(image_HW, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])[1]
    with replacing(image_path) as file:
        file.write(coded.tobytes())


def label_of(patient: str, name: str, shadows: list[Shadow], rng: Generator) -> dict[str, Any]:
    """Return the contest's JSON of one hand."""
    annotations = [
        entry for bone, shadow in zip(BONES, shadows, strict=True) for entry in _entries(bone, rings_of(shadow))
    ]
    if rng.random() < SPLIT_SHARE:
        _split_one(annotations, rng)
    shuffled = [annotations[i] for i in rng.permutation(len(annotations))]
    return {
        "annotations": [{"id": f"{rng.integers(16**8):08x}", **entry} for entry in shuffled],
        "attributes": {},
        "file_id": f"{rng.integers(16**8):08x}",
        "filename": f"{name}.jpg",
        "parent_path": f"/{patient}",
        "last_modifier_id": f"{rng.integers(16**8):08x}",
        "metadata": {"height": 3060, "width": 3060},
        "last_workers": [f"{rng.integers(16**8):08x}"],
    }


def rings_of(shadow: Shadow) -> list[RingPoints]:
    """Return the outline of each part of a mask, in the image's pixels; filling them gives the mask without its holes.

    A bone that is too small to have an outline, such as a fingertip at 64 px, gets its bounding box, so that no label
    lacks a bone.
    """
    contours, _ = cv2.findContours(shadow.mask_hw, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    areas = [cv2.contourArea(contour) for contour in contours]
    kept = [contour for contour, area in zip(contours, areas, strict=True) if area > SMALLEST_PART * max(areas)]
    outlines = [contour[:, 0] for contour in kept if len(contour) >= 3] or [_frame(shadow.mask_hw)]
    return [(outline + shadow.corner).tolist() for outline in outlines]


def _frame(mask_hw: Bytes) -> Ints32:
    """Return the corners of a mask's bounding box; those of its canvas if no pixel is set."""
    left, top, width, height = cv2.boundingRect(mask_hw if mask_hw.any() else np.ones_like(mask_hw))
    right, bottom = left + width - 1, top + height - 1
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.int32)


def _entries(bone: str, rings: list[RingPoints]) -> list[dict[str, Any]]:
    return [{"type": "poly_seg", "attributes": {}, "points": ring, "label": bone} for ring in rings]


def _split_one(annotations: list[dict[str, Any]], rng: Generator) -> None:
    """Write one bone as two overlapping parts: as two entries, or as two rings of one entry."""
    index = int(rng.integers(len(annotations)))
    entry = annotations[index]
    first, second = _halves(np.asarray(entry["points"], dtype=np.int32))
    if rng.random() < 0.5:
        annotations[index] = {**entry, "points": [first, second]}
    else:
        annotations[index] = {**entry, "points": first}
        annotations.append({**entry, "points": second})


def _halves(ring: Ints32) -> tuple[RingPoints, RingPoints]:
    """Return the upper and the lower half of a ring's area, which share the row in the middle."""
    corner = ring.min(axis=0)
    mask = np.zeros(ring.max(axis=0)[::-1] - corner[::-1] + 1, dtype=np.uint8)
    cv2.fillPoly(mask, [ring - corner], 1)
    middle = len(mask) // 2
    halves = []
    for rows in (slice(0, middle + 1), slice(middle, None)):
        half = np.zeros_like(mask)
        half[rows] = mask[rows]
        x, y = (int(c) for c in corner)
        halves.append(max(rings_of(Shadow((x, y), half)), key=len))
    return halves[0], halves[1]
