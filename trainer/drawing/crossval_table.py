"""A cross-validation as tables for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.task import Task


def show(task: Task, numbers: Mapping[str, Any]) -> None:
    """Print the score of each class and of each fold, then the mean and what it would be in the test set's mix."""
    from rich.console import Console
    from rich.table import Table

    headings, metric = columns(task), task.metric
    classes = Table(title=f"Held-out {metric.label} per class", title_justify="left", header_style="bold")
    folds = Table(title=f"Held-out {metric.label} per fold", title_justify="left", header_style="bold")
    for table, names in ((classes, ("class", "mean", "± folds")), (folds, ("fold", "images", "epoch", "mean"))):
        for name in (*names, *headings.values()):
            table.add_column(name, justify="left" if name == "class" else "right", no_wrap=True)
    for name, row in numbers["per_class"].items():
        classes.add_row(name, *map(cell, (row[metric.mean_name], row["sd"], *(row[key] for key in headings))))
    for row in numbers["folds"]:
        counts = (str(row["fold"]), str(row["images"]), str(row["epoch"]))
        folds.add_row(*counts, cell(row[metric.mean_name]), *(cell(row[key]) for key in headings))
    console = Console()
    console.print(classes)
    console.print(folds)
    for line in closing_lines(task, numbers):
        console.print(line, highlight=False, soft_wrap=True)


def columns(task: Task) -> dict[str, str]:
    """The means that stand beside the mean of all: key and heading."""
    return {stratum: stratum for stratum in task.stratum_names} | (
        {"weighted": mix_of(task)} if task.test_shares else {}
    )


def mix_of(task: Task) -> str:
    """The test set's mix in words: `57 % bent`."""
    stratum, share = list(task.test_shares.items())[-1]
    return f"{100 * share:.0f} % {stratum}"


def cell(score: float | None) -> str:
    """A score as text, a dash if there is none."""
    return "-" if score is None else f"{score:.4f}"


def plus_minus(numbers: Mapping[str, Any], key: str) -> str:
    """A mean with its spread over the folds: `0.9512 ± 0.0021`."""
    mean, deviation = numbers[key], numbers["sd"][key]
    return cell(mean) if mean is None or deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def closing_lines(task: Task, numbers: Mapping[str, Any]) -> list[str]:
    """What is missing, strata and, last, the numbers that count."""
    lines = []
    if numbers["unscored_folds"]:
        lines.append(f"not scored yet: {', '.join(f'fold{fold}' for fold in numbers['unscored_folds'])}")
    counts = numbers["images_per_stratum"]
    lines.append(
        "   ".join(f"{kind} {plus_minus(numbers, kind)} ({counts[kind]} images)" for kind in task.stratum_names)
    )
    folds = len(numbers["folds"])
    over = f"{len(numbers['images'])} images, ± standard deviation over {folds} folds"
    lines.append(
        f"mean {task.metric.label} {plus_minus(numbers, task.metric.mean_name)} over {over if folds > 1 else '1 fold'}"
    )
    if task.test_shares:
        lines.append(f"in the test set's mix, {mix_of(task)}: {mix_line(task, numbers)}")
    return [line for line in lines if line]


def mix_line(task: Task, numbers: Mapping[str, Any]) -> str:
    if numbers["weighted"] is not None:
        return plus_minus(numbers, "weighted")
    lacking = [kind for kind, images in numbers["images_per_stratum"].items() if not images]
    return (
        f"not known, for none of the {task.strata.noun if task.strata else 'images'} held out is {' or '.join(lacking)}"
    )
