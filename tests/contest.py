"""A tiny data set in the contest's layout: each bone a square at its own place, so that it can be learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.hand_bone.classes import BONES

SIDE_PX = 64


def write_split(split: Path, *, patients: int, first: int = 1, seed: int = 0) -> Path:
    """Write `patients` patients with two images each; returns `split`."""
    rng = np.random.default_rng(seed)
    for patient in range(first, first + patients):
        for hand in range(2):
            name = f"image{patient:04}_{hand}"
            shift = rng.integers(-2, 3, 2)
            write_sample(split, f"ID{patient:03}", name, [square_of(index, shift) for index in range(len(BONES))])
    return split


def write_sample(split: Path, patient: str, name: str, rings: list[list[list[int]]]) -> None:
    """Write one image and its label; the bones are brighter than what is around them."""
    image = np.full((SIDE_PX, SIDE_PX), 20, np.uint8)
    for index, ring in enumerate(rings):
        cv2.fillPoly(image, [np.array(ring, np.int32)], 60 + 6 * index)
    picture = split / "DCM" / patient / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(picture), cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    label = split / "outputs_json" / patient / f"{name}.json"
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text(json.dumps(label_of(rings)))


def label_of(rings: list[list[list[int]]]) -> dict[str, Any]:
    """A label with the contest's traps: entries in no order, another file name, another size."""
    entries = [
        {"id": str(index), "type": "poly_seg", "attributes": {}, "points": ring, "label": BONES[index]}
        for index, ring in enumerate(rings)
    ]
    return {"annotations": entries[::-1], "filename": "x.jpg", "metadata": {"height": 3060, "width": 3060}}


def square_of(index: int, shift: np.ndarray[Any, Any]) -> list[list[int]]:
    """The ring of class `index`: a square on a grid of six by five, moved by `shift`."""
    left, top = 3 + 10 * (index % 6) + int(shift[0]), 4 + 12 * (index // 6) + int(shift[1])
    return [[left, top], [left + 7, top], [left + 7, top + 8], [left, top + 8]]
