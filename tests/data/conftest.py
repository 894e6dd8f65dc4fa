"""What the tests of the data share: how properties are searched, and a small data set in the contest's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import settings

from data.hand_bone.classes import BONES

settings.register_profile("carpus", derandomize=True, max_examples=40, deadline=None, database=None)
settings.load_profile("carpus")


def square(left: int, top: int, side: int = 4) -> list[list[int]]:
    """A square ring; its outline is filled too, so it covers (side + 1)² pixels."""
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


def bones_label(**changes: Any) -> dict[str, Any]:
    """A label as the contest writes it, wrong `filename` and `metadata` included, classes in no order."""
    entries = [
        {
            "id": f"id{i}",
            "type": "poly_seg",
            "attributes": {},
            "points": square(2 * i % 50, i % 40),
            "label": label,
        }
        for i, label in enumerate(BONES)
    ]
    rest = {
        "attributes": {},
        "file_id": "f",
        "filename": "image1.jpg",
        "parent_path": "/",
        "last_modifier_id": "m",
        "metadata": {"height": 3060, "width": 3060},
        "last_workers": [],
    }
    return {"annotations": entries[::-1], **rest, **changes}


@pytest.fixture
def write_label(tmp_path: Path) -> Callable[..., Path]:
    """Write a label file and return its path; keywords replace the label's top-level keys."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "image1.json"
        path.write_text(json.dumps(bones_label(**changes)))
        return path

    return write


@pytest.fixture
def split_dir(tmp_path: Path) -> Path:
    """`train/` with three patients, two 64 px hands each; the names hold `_` and say nothing about the side."""
    folder = tmp_path / "train"
    for patient in ("ID001", "ID002", "ID010"):
        for hand in ("a_R", "b"):
            write_pair(folder, patient, f"image{patient[2:]}{hand}")
    return folder


def write_pair(folder: Path, patient: str, stem: str) -> None:
    """Write one image and its label."""
    image, label = folder / "DCM" / patient / f"{stem}.png", folder / "outputs_json" / patient / f"{stem}.json"
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(len(stem)).integers(0, 256, (64, 64, 1), np.uint8)
    cv2.imwrite(str(image), np.repeat(grey, 3, axis=2))
    label.write_text(json.dumps(bones_label()))
