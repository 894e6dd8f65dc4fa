"""Further numbers about finished soft predictions, each with a confidence interval over the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.task import Detail
from trainer.evaluation.bootstrap import Interval, mean_interval
from utils.arrays import Floats, Image
from utils.table import print_table


class DetailTable:
    """The details of each image; a curve is kept whole, because a data set's curve is the mean of all."""

    def __init__(self, details: Mapping[str, Detail]) -> None:
        self.details = details
        self.rows: dict[str, dict[str, Floats]] = {}

    def add(self, image: str, alpha_HW: Image, truth_HW: Image) -> None:
        """Describe one image by its predicted and its true alpha, uint8[H, W]."""
        self.rows[image] = numbers_of(self.details, alpha_HW, truth_HW)

    def interval(self, name: str) -> Interval | None:
        """The number over all images that have it; None if no image has it."""
        values = [self.rows[image][name] for image in sorted(self.rows) if name in self.rows[image]]
        return mean_interval(np.stack(values), reduce=self.details[name].reduce) if values else None

    def summary(self) -> dict[str, Any]:
        """All numbers by name, for a JSON file: mean and limits, and those of each image."""
        intervals = {name: self.interval(name) for name in self.details}
        return {
            "details": {
                name: its and {"mean": its.mean, "low": its.low, "high": its.high} for name, its in intervals.items()
            },
            "details_per_image": {
                image: {name: self.details[name].reduce(value) for name, value in row.items()}
                for image, row in sorted(self.rows.items())
            },
        }


def numbers_of(details: Mapping[str, Detail], alpha_HW: Image, truth_HW: Image) -> dict[str, Floats]:
    """Describe a predicted alpha uint8[H, W] by the true one: the numbers and curves that say something about it."""
    alpha, truth = (part.astype(np.float64) / 255 for part in (alpha_HW, truth_HW))
    # Several details may be made of one curve, which is computed once.
    found = {of_alpha: of_alpha(alpha, truth) for of_alpha in {detail.of_alpha for detail in details.values()}}
    values = {name: found[detail.of_alpha] for name, detail in details.items()}
    return {name: np.asarray(value, np.float64) for name, value in values.items() if value is not None}


def print_details(table: DetailTable) -> None:
    """Print each number with its limits, and the image it is the lowest and the highest in."""
    rows: list[Sequence[str]] = []
    for name, detail in table.details.items():
        its = table.interval(name)
        if its is not None:
            of_images = {image: detail.reduce(row[name]) for image, row in table.rows.items() if name in row}
            lowest, highest = min(of_images, key=of_images.__getitem__), max(of_images, key=of_images.__getitem__)
            numbers = (f"{number:.{detail.digits}f}" for number in (its.mean, its.low, its.high))
            rows.append((detail.label, *numbers, lowest, highest))
    headings = ("", "mean", "from", "to", "lowest in", "highest in")
    limits = "from, to: 95 % confidence interval of the mean over images."
    print_table("Details", headings, rows, text_columns=("", "lowest in", "highest in"), lines=[limits])
