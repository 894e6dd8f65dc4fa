"""The score of every image and class by one metric, and the means that reports ask for.

Apart from `trainer.training.meters`, so that programs that only score files need not load torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from utils.metric import Metric


class ScoreTable:
    """Scores of each image (row) and class (column) by `metric`."""

    def __init__(self, classes: Sequence[str], metric: Metric) -> None:
        self.classes, self.metric = tuple(classes), metric
        self.rows: dict[str, npt.NDArray[np.float64]] = {}

    def add(self, image: str, score_C: npt.NDArray[np.float64]) -> None:
        """Record one image; an image that is added twice counts once."""
        self.rows[image] = score_C

    @property
    def table_NC(self) -> npt.NDArray[np.float64]:
        return np.stack([self.rows[image] for image in sorted(self.rows)])

    @property
    def mean(self) -> float:
        """The mean over all images and classes."""
        return float(self.table_NC.mean())

    @property
    def per_class(self) -> dict[str, float]:
        return dict(zip(self.classes, map(float, self.table_NC.mean(axis=0)), strict=True))

    @property
    def per_image(self) -> dict[str, float]:
        return {image: float(self.rows[image].mean()) for image in sorted(self.rows)}

    @property
    def per_image_and_class(self) -> dict[str, dict[str, float]]:
        return {
            image: dict(zip(self.classes, map(float, self.rows[image]), strict=True)) for image in sorted(self.rows)
        }

    def mean_of(self, images: Collection[str]) -> float | None:
        """Return the mean over these images and all classes, None without images."""
        rows = [self.rows[image] for image in images]
        return float(np.mean(rows)) if rows else None

    def summary(self) -> dict[str, Any]:
        """The numbers that files and reports carry."""
        return {self.metric.mean_name: self.mean, "per_class": self.per_class, "images": self.per_image}
