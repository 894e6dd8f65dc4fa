"""The numbers of all networks of a run, as `checkpoints.json` holds them and tables show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.sample import Sample
from data.task import ScoringProtocol, Task
from trainer.checkpoints.scoring import ImageScores, Scored
from trainer.evaluation.bootstrap import mean_interval


def summary(
    task: Task, samples: Sequence[Sample], rows: Sequence[Scored], protocol: tuple[str, ScoringProtocol] | None
) -> dict[str, Any]:
    """Return the table as plain values: means with confidence intervals over images, and the numbers of each image."""
    group_of = {sample.name: sample.group for sample in samples}
    return {
        "images": len(samples),
        "metric": task.metric.name,
        "columns": columns_of(task),
        "best_here": best_here(task, rows).name,
        "protocol": protocol and {"name": protocol[0], "numbers": protocol[1].numbers, "said": protocol[1].said},
        "checkpoints": [row_of(row, group_of) for row in rows],
    }


def columns_of(task: Task) -> dict[str, str]:
    """Return the headings of the numbers by name: the metric's, and those of the details that tables show."""
    details = {name: detail.column for name, detail in task.details.items() if detail.column}
    return {task.metric.name: task.metric.label, **(details if task.encoding.soft else {})}


def row_of(row: Scored, group_of: Mapping[str, str]) -> dict[str, Any]:
    """Return the numbers of one network."""
    return {
        "name": row.name,
        "step": row.step,
        "epoch": row.epoch,
        "same_as": row.same_as,
        "scores": intervals(row.scores, group_of),
        "other": None if row.other is None else intervals(row.other, group_of),
        "per_image": row.scores,
        "other_per_image": row.other,
    }


def intervals(scores: ImageScores, group_of: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the mean of each number over images, and the limits of its confidence interval."""
    images = sorted(scores)
    groups = [group_of[image] for image in images]
    found = {}
    for name in scores[images[0]]:
        its = mean_interval([scores[image][name] for image in images], groups=groups)
        found[name] = {"mean": its.mean, "low": its.low, "high": its.high}
    return found


def best_here(task: Task, rows: Sequence[Scored]) -> Scored:
    """Return the network with the best mean score on these images; of equal ones the earliest."""
    return min(rows, key=lambda row: task.metric.badness(mean_score(task, row)))


def mean_score(task: Task, row: Scored) -> float:
    """Return the mean of the metric over the images."""
    return sum(its[task.metric.name] for its in row.scores.values()) / len(row.scores)
