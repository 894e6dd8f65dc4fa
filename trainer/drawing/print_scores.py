"""Print scores as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.task import Task
from utils.table import print_table


def print_scores(task: Task, summary: Mapping[str, Any]) -> None:
    """Print the score per class, per group and per stratum, then the mean."""
    worst = worst_per_class(task, summary)
    group_of = {name: group for group, names in task.groups.items() for name in names}
    rows = []
    for name, mean in summary["per_class"].items():
        value, image = worst[name]
        rows.append((name, group_of.get(name, ""), f"{mean:.4f}", f"{value:.4f}", image))
    print_table(
        f"{task.metric.label} per class",
        ("class", "group", "mean", "lowest", "in"),
        rows,
        text_columns=("class", "group", "in"),
        lines=closing_lines(task, summary),
    )


def worst_per_class(task: Task, summary: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    """Find the worst score of each class, and the image that has it."""
    rows: Mapping[str, Mapping[str, float]] = summary["per_image_and_class"]
    pick = min if task.metric.higher_is_better else max
    return {name: pick((row[name], image) for image, row in rows.items()) for name in summary["per_class"]}


def closing_lines(task: Task, summary: Mapping[str, Any]) -> list[str]:
    """Return lines with the means of groups, of strata and, last, of all images."""
    groups = [
        f"{group} {sum(summary['per_class'][name] for name in names) / len(names):.4f}"
        for group, names in task.groups.items()
    ]
    strata = [
        f"{stratum} {summary[stratum]:.4f} ({summary['images_per_stratum'][stratum]} images)"
        for stratum in task.stratum_names
        if summary[stratum] is not None
    ]
    images = len(summary["images"])
    return [
        "   ".join(groups),
        "   ".join(strata),
        f"mean {task.metric.label} {summary[task.metric.mean_name]:.4f} over {images} images"
        + limits_in_words(task, summary),
    ]


def limits_in_words(task: Task, summary: Mapping[str, Any]) -> str:
    """Return the confidence interval of the mean, if it is known: " (95 %: 0.9010 to 0.9201, of 14 groups)"."""
    its = summary.get("confidence")
    return f" (95 %: {its['low']:.4f} to {its['high']:.4f}, of {its['groups']} {task.layout.group}s)" if its else ""
