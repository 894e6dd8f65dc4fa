"""How far predicted outlines lie from the true ones: Hausdorff distance (95 %), average distance, agreement (NSD).

NSD is the share of both outlines that lies within a tolerance of the other. Computed by the library surface-distance
(Nikolov et al., arXiv:1809.04430): each element of an outline counts by its length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from data.masks.packed import planes, unpack_planes
from data.masks.rle import Runs, decode
from trainer.evaluation.bootstrap import Interval, mean_interval
from trainer.evaluation.ruler import Ruler
from utils.arrays import Bools, Floats, Packed, Size
from utils.metric import Metric
from utils.table import print_table

NUMBERS = ("hd95", "assd", "nsd")
"""In files: the 95th percentile of distances, their average over both outlines, the share of outlines within the
tolerance."""
SAME = (0.0, 0.0, 1.0)
"""Of two empty masks."""
ONE_EMPTY = (np.nan, np.nan, 0.0)
"""If one of two masks is empty, its outline is nowhere."""
MEANS_NOTE = "Means over images of the mean over classes; in brackets, 95 % confidence intervals."
NSD = Metric("nsd", "NSD")
"""The one of them that settings can be chosen by: a network that finds nothing has no distances, but an NSD of 0."""


def distances_of(predicted_HW: Bools, true_HW: Bools, ruler: Ruler) -> tuple[float, float, float]:
    """Return the 95 % Hausdorff distance, the average symmetric distance and the NSD of two masks.

    The average is that of both directions, each the mean over its outline.
    """
    from surface_distance import (  # type: ignore[import-untyped]
        compute_average_surface_distance,
        compute_robust_hausdorff,
        compute_surface_dice_at_tolerance,
        compute_surface_distances,
    )

    if not predicted_HW.any() or not true_HW.any():
        return SAME if predicted_HW.any() == true_HW.any() else ONE_EMPTY
    found = compute_surface_distances(true_HW, predicted_HW, (ruler.spacing, ruler.spacing))
    return (
        float(compute_robust_hausdorff(found, 95)),
        float(np.mean(compute_average_surface_distance(found))),
        float(compute_surface_dice_at_tolerance(found, ruler.tolerance)),
    )


def distances_of_runs(predicted: Sequence[Runs], true: Sequence[Runs], size_hw: Size, ruler: Ruler) -> Floats:
    """Return the `NUMBERS` of each class, float64[C, 3], of one image."""
    rows = []
    for pair in zip(predicted, true, strict=True):
        predicted_HW, true_HW = (unpack_planes(decode([runs], size_hw), 1)[0] for runs in pair)
        rows.append(distances_of(predicted_HW, true_HW, ruler))
    return np.array(rows)


def distances_of_masks(predicted: Packed, true: Packed, classes: int, ruler: Ruler) -> Floats:
    """Return the `NUMBERS` of each class, float64[C, 3], of the hard masks of one image."""
    pairs = zip(planes(predicted, classes), planes(true, classes), strict=True)
    return np.array([distances_of(*pair, ruler) for pair in pairs])


@dataclass
class DistanceTable:
    """The numbers of each image and class. `groups`: of images that resemble each other."""

    classes: Sequence[str]
    ruler: Ruler
    groups: Mapping[str, str] = field(default_factory=dict)
    rows: dict[str, Floats] = field(default_factory=dict)

    @property
    def table_NC3(self) -> Floats:
        return np.stack([self.rows[image] for image in sorted(self.rows)])

    @property
    def one_empty(self) -> dict[str, int]:
        """In how many images one of the two masks of a class is empty; their distances count in no mean."""
        return dict(zip(self.classes, np.isnan(self.table_NC3[..., 0]).sum(axis=0).tolist(), strict=True))

    def of_class(self, index: int) -> dict[str, float | None]:
        """Return the means of a class; None if no image has the number."""
        columns = self.table_NC3[:, index].T
        return {name: _mean(column) for name, column in zip(NUMBERS, columns, strict=True)}

    def interval(self, number: int) -> Interval | None:
        """Return the mean over images of an image's mean over classes, with its limits; None if no image has it."""
        of_images = {image: _mean(row[:, number]) for image, row in sorted(self.rows.items())}
        known = {image: value for image, value in of_images.items() if value is not None}
        groups = [self.groups.get(image, image) for image in known]
        return mean_interval(list(known.values()), groups=groups) if known else None

    def summary(self) -> dict[str, Any]:
        """All numbers by name, for a JSON file."""
        intervals = {name: self.interval(number) for number, name in enumerate(NUMBERS)}
        means = {name: its and asdict(its) for name, its in intervals.items()}
        return {
            "distances": {
                "unit": self.ruler.unit,
                "tolerance": self.ruler.tolerance,
                **means,
                "per_class": {name: self.of_class(index) for index, name in enumerate(self.classes)},
                "one_empty": self.one_empty,
            }
        }


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


@dataclass(frozen=True)
class ShownDistances:
    """The numbers as a table of text."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    means: str
    """The means with their limits, in a line."""


def shown_distances(found: Mapping[str, Any]) -> ShownDistances:
    """Return as text what `DistanceTable.summary` has under `distances`. Raises one of `DAMAGED` for anything else."""
    unit, tolerance = found["unit"], found["tolerance"]
    heads = ("class", f"95 % Hausdorff, {unit}", f"average, {unit}", f"within {tolerance:g} {unit}", "one is empty")
    rows = [
        (name, *("" if numbers[key] is None else f"{numbers[key]:.3f}" for key in NUMBERS), str(empty or ""))
        for (name, numbers), empty in zip(found["per_class"].items(), found["one_empty"].values(), strict=True)
    ]
    named = zip(("95 % Hausdorff", "average distance", "NSD"), (found[key] for key in NUMBERS), strict=True)
    means = (f"{label} {its['mean']:.3f} ({its['low']:.3f} to {its['high']:.3f})" for label, its in named if its)
    return ShownDistances(heads, rows, ", ".join(means))


def print_distances(table: DistanceTable) -> None:
    """Print the numbers of each class, and their means with limits."""
    shown = shown_distances(table.summary()["distances"])
    lines = [shown.means, MEANS_NOTE]
    print_table("Distances between outlines", shown.heads, shown.rows, text_columns=("class",), lines=lines)
