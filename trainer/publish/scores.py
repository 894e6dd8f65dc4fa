"""The scores of a run that are published: means over the held-out images, without the name of any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.task import Task
from trainer.records import tables
from trainer.records.folder import RunFolder


@dataclass(frozen=True)
class Scores:
    """Means of the task's metric over the images that a run held out, 0..1."""

    metric: str
    images: int
    mean: float
    per_class: Mapping[str, float]
    per_group: Mapping[str, float]
    """The same of each group of classes."""
    per_stratum: Mapping[str, float]
    """The same of each kind of images that the task knows."""

    def as_plain(self) -> dict[str, Any]:
        """Return what `scores.json` holds."""
        return {name: value for name, value in vars(self).items() if value != {}}


def scores_of(folder: RunFolder, task: Task) -> Scores | None:
    """Return the scores of the best weights; None if the run has scored none. Raises `UserError` for a damaged file."""
    if not folder.validation.is_file():
        return None
    table = tables.scores(folder.path)
    per_class = {str(name): float(value) for name, value in table.groupby("class")["score"].mean().items()}
    group_of = {label: group for group, classes in task.groups.items() for label in classes}
    of_groups = table.groupby(table["class"].map(group_of))["score"].mean()
    of_strata = table.groupby("stratum")["score"].mean()
    return Scores(
        metric=task.metric.name,
        images=int(table["image"].nunique()),
        mean=float(table["score"].mean()),
        per_class={name: per_class[name] for name in task.classes if name in per_class},
        per_group={name: float(of_groups[name]) for name in task.groups if name in of_groups},
        per_stratum={name: float(of_strata[name]) for name in task.stratum_names if name in of_strata},
    )
