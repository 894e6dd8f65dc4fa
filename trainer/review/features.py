"""What can be measured of a prediction without knowing the truth: areas, pieces, places, and the network's confidence.

Shapes: C classes, H/W pixels of the native image, h/w the network's output, K bytes of a packed mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from data.masks.binarize import Threshold
from data.masks.packed import plane
from data.masks.rle import area, encode
from data.sample import Sample
from data.task import Task
from trainer.drawing.overlays import SIDE_PX, shrink_mask
from utils.arrays import Bools, Floats, Packed, Size

SMALLEST_PIECE = 0.01
"""Pieces below this share of their class's area are specks, and not counted."""
EMPTY_PX = 0.5
"""A class whose probabilities sum to less is certain to be absent."""


@dataclass(frozen=True)
class ClassFeatures:
    """One class in one image. All lengths are pixels of the native image."""

    area_px: int
    pieces: int
    """Connected parts, without specks."""
    box_xyxy: tuple[int, int, int, int] | None
    """The box around it, right and lower edge excluded; None if the class was not found."""
    centre_xy: tuple[float, float] | None
    confidence: float
    """See `confidences`, 0..1."""

    @property
    def is_found(self) -> bool:
        return self.area_px > 0


@dataclass(frozen=True)
class ImageFeatures:
    """All classes of one image."""

    name: str
    about: str
    """What it shows, in a few words; see `Task.caption`."""
    size_hw: Size
    classes: Mapping[str, ClassFeatures]

    @property
    def confidence(self) -> float:
        """The mean over the classes, 0..1."""
        return float(np.mean([features.confidence for features in self.classes.values()]))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file; `features_from` reads them back."""
        return asdict(self)


def features_from(values: Mapping[str, Any]) -> ImageFeatures:
    """Rebuild the features from the plain values of a JSON file.

    Raises `KeyError`, `TypeError` or `ValueError` for values of another form.
    """
    classes = {
        name: ClassFeatures(
            area_px=int(plain["area_px"]),
            pieces=int(plain["pieces"]),
            box_xyxy=None if plain["box_xyxy"] is None else tuple(map(int, plain["box_xyxy"])),  # type: ignore[arg-type]
            centre_xy=None if plain["centre_xy"] is None else tuple(map(float, plain["centre_xy"])),  # type: ignore[arg-type]
            confidence=float(plain["confidence"]),
        )
        for name, plain in values["classes"].items()
    }
    height, width = map(int, values["size_hw"])
    return ImageFeatures(str(values["name"]), str(values["about"]), (height, width), classes)


def measure(task: Task, sample: Sample, packed_HWK: Packed, confidence_C: Floats) -> ImageFeatures:
    """Measure every class of a finished mask at native size."""
    height, width = packed_HWK.shape[:2]
    runs_of_classes = encode(packed_HWK, len(task.classes))
    small = shrink_mask(packed_HWK, SIDE_PX)  # shows pieces and places in a tenth of the time
    scale = max(height, width) / max(small.shape[:2])
    measured = {
        class_name: _measure_class(plane(small, index), area(runs_of_classes[index]), scale, float(confidence_C[index]))
        for index, class_name in enumerate(task.classes)
    }
    about = task.caption(sample, runs_of_classes, (height, width))
    return ImageFeatures(sample.name, about, (height, width), measured)


def _measure_class(mask_hw: Bools, area_px: int, scale: float, confidence: float) -> ClassFeatures:
    count, _, stats, centres = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    if count == 1:  # only the background: absent, or too thin for the small mask
        return ClassFeatures(area_px, int(area_px > 0), None, None, confidence)
    areas, lefts, tops = stats[1:, cv2.CC_STAT_AREA], stats[1:, cv2.CC_STAT_LEFT], stats[1:, cv2.CC_STAT_TOP]
    rights, bottoms = lefts + stats[1:, cv2.CC_STAT_WIDTH], tops + stats[1:, cv2.CC_STAT_HEIGHT]
    corners = (int(lefts.min()), int(tops.min()), int(rights.max()), int(bottoms.max()))
    left, top, right, bottom = (round(corner * scale) for corner in corners)
    x, y = (areas[:, None] * centres[1:]).sum(axis=0) / areas.sum()
    pieces = int((areas >= SMALLEST_PIECE * areas.sum()).sum())
    centre_xy = (round(float((x + 0.5) * scale), 1), round(float((y + 0.5) * scale), 1))
    return ClassFeatures(area_px, pieces, (left, top, right, bottom), centre_xy, confidence)


@torch.inference_mode()
def confidences(logits_Chw: Tensor, threshold: Threshold) -> Floats:
    """How much of each class's mask the network expects to be right, float64[C] in 0..1.

    It is the overlap 2 |P∩M| / (|P| + |M|) of the mask M with the probabilities P that it was made of: the expected
    agreement with the truth if the probabilities were right. An absent class whose probabilities vanish has 1.
    Example: a mask whose pixels all have the probability 0.8, and no pixel around it any: 2 · 0.8 / (0.8 + 1) = 0.89.
    """
    thresholds = np.broadcast_to(np.asarray(threshold, np.float32), (len(logits_Chw),))
    found = []
    for logits_hw, level in zip(logits_Chw, thresholds, strict=True):
        probabilities = logits_hw.float().sigmoid()
        mask = probabilities > float(level)
        expected_px, mask_px = float(probabilities.sum()), float(mask.sum())
        agreed_px = float(probabilities[mask].sum())
        found.append(1.0 if expected_px < EMPTY_PX and not mask_px else 2 * agreed_px / (expected_px + mask_px))
    return np.asarray(found)
