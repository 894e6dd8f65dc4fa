"""What is known of an image whose regions were predicted, and the files that it can be downloaded as."""

# Shapes: H/W pixels of the image, C classes, K bytes of a packed mask for each pixel.
from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data.hand_bone.classes import BONES
from data.hand_bone.wrist import angle_of_runs
from data.masks import rle
from data.masks.outline import outlines_of_runs
from data.masks.packed import areas, plane
from data.masks.rle import Runs
from data.polygons.annotation import label_text
from data.submission.rows import HEADER
from data.task import Task
from utils.arrays import Floats, Image, Ints, Mask, Packed, Size


@dataclass(eq=False)
class Findings:
    """The masks of an image, uint8[H, W, K], and the true ones if a label is there."""

    name: str
    """Of the image's file, as the person calls it."""
    task: Task
    image: Image
    packed: Packed
    seconds: float
    truth: Packed | None = None
    oddity: str | None = None
    """How the image differs from those that the network was trained on, in a few words."""

    @property
    def size_hw(self) -> Size:
        return (self.image.shape[0], self.image.shape[1])

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self.image.nbytes + self.packed.nbytes * (1 if self.truth is None else 2)

    @cached_property
    def runs(self) -> list[Runs]:
        """The runs of each class."""
        return rle.encode(self.packed, len(self.task.classes))

    @cached_property
    def areas_px(self) -> Ints:
        """The pixels of each class, int64[C]."""
        return areas(self.packed, len(self.task.classes))

    @property
    def scores(self) -> Floats | None:
        """The score of each class by the task's metric, float64[C]; None without a truth."""
        return None if self.truth is None else self.task.score(self.packed, self.truth)

    @property
    def angle_deg(self) -> float:
        """The angle of the wrist in degrees; nan for a task without, or if a bone that it follows from is not found."""
        return angle_of_runs(self.runs, self.size_hw) if self.task.classes == BONES else math.nan

    def csv(self) -> str:
        """Return the rows of a submission, with their header."""
        name = "".join(letter for letter in self.name if letter not in ',"\r\n')
        rows = (f"{name},{label},{rle.to_text(runs)}" for label, runs in zip(self.task.classes, self.runs, strict=True))
        return "\n".join([HEADER, *rows, ""])

    def label(self) -> str:
        """Return a label in the contest's format, whose polygons fill to exactly the same pixels."""
        polygons = [
            (index, ring) for index, runs in enumerate(self.runs) for ring in outlines_of_runs(runs, self.size_hw[1])
        ]
        about: Mapping[str, Any] = {"made_by": "prediction"}
        return label_text(
            polygons, self.task.classes, filename=self.name, patient="", size_hw=self.size_hw, attributes=about
        )

    def coco(self) -> str:
        """Return COCO annotations: an exact mask for each class that is found, as uncompressed runs."""
        height, width = self.size_hw
        found = [index for index, area in enumerate(self.areas_px) if area]
        categories = [{"id": index + 1, "name": name} for index, name in enumerate(self.task.classes)]
        annotations = [self._annotation(number, index) for number, index in enumerate(found, start=1)]
        image = {"id": 1, "file_name": self.name, "width": width, "height": height}
        return json.dumps({"images": [image], "annotations": annotations, "categories": categories}, ensure_ascii=False)

    def _annotation(self, number: int, index: int) -> dict[str, Any]:
        mask = plane(self.packed, index)
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        corner = int(columns[0]), int(rows[0])
        return {
            "id": number,
            "image_id": 1,
            "category_id": index + 1,
            "segmentation": {"size": list(self.size_hw), "counts": column_counts(mask)},
            "area": int(self.areas_px[index]),
            "bbox": [*corner, int(columns[-1]) - corner[0] + 1, int(rows[-1]) - corner[1] + 1],
            "iscrowd": 0,
        }


def column_counts(mask: Mask) -> list[int]:
    """Return the lengths of runs down the columns of a mask bool[H, W], as COCO has them: zeros and ones in turn."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], changes, [flat.size]])
    lengths: list[int] = np.diff(bounds).tolist()
    return [0, *lengths] if flat[0] else lengths
