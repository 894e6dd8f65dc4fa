"""Scores as tables for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.task import Task


def show(task: Task, summary: Mapping[str, Any]) -> None:
    """Print the score per class, per group and per stratum, then the mean."""
    from rich.console import Console
    from rich.table import Table

    lowest = worst_per_class(task, summary)
    table = Table(title=f"{task.metric.label} per class", title_justify="left", header_style="bold")
    for column in ("class", "group", "mean", "lowest", "in"):
        table.add_column(column, justify="right" if column in ("mean", "lowest") else "left", no_wrap=True)
    group_of = {name: group for group, names in task.groups.items() for name in names}
    for name, mean in summary["per_class"].items():
        value, image = lowest[name]
        table.add_row(name, group_of.get(name, ""), f"{mean:.4f}", f"{value:.4f}", image)
    console = Console()
    console.print(table)
    for line in closing_lines(task, summary):
        console.print(line, highlight=False)


def worst_per_class(task: Task, summary: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    """Find the worst score of each class, and the image that has it."""
    rows: Mapping[str, Mapping[str, float]] = summary["per_image_and_class"]
    pick = min if task.metric.higher_is_better else max
    return {name: pick((row[name], image) for image, row in rows.items()) for name in summary["per_class"]}


def closing_lines(task: Task, summary: Mapping[str, Any]) -> list[str]:
    """Groups, strata and, last, the number that counts."""
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
        f"mean {task.metric.label} {summary[task.metric.mean_name]:.4f} over {images} images",
    ]
