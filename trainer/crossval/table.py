"""Print the scores of a cross-validation as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.task import Task
from utils.rounds import CountedIn
from utils.table import print_table


def print_crossval(task: Task, numbers: Mapping[str, Any]) -> None:
    """Print the score of each class and of each fold, then the mean, also in the proportions of the test set."""
    columns, label, mean = mean_columns(task), task.metric.label, task.metric.mean_name
    print_table(
        f"Held-out {label} per class",
        ("class", "mean", "± folds", *columns.values()),
        [
            (name, *(format_score(row[key]) for key in (mean, "sd", *columns)))
            for name, row in numbers["per_class"].items()
        ],
        text_columns=("class",),
    )
    print_table(
        f"Held-out {label} per fold",
        ("fold", "images", counted_of(numbers), "mean", *columns.values()),
        [
            (
                str(row["fold"]),
                str(row["images"]),
                str(row[counted_of(numbers)]),
                *(format_score(row[key]) for key in (mean, *columns)),
            )
            for row in numbers["folds"]
        ],
        lines=closing_lines(task, numbers),
    )


def counted_of(numbers: Mapping[str, Any]) -> CountedIn:
    """What the trainings of all folds are counted in."""
    return "step" if all("step" in row for row in numbers["folds"]) else "epoch"


def mean_columns(task: Task) -> dict[str, str]:
    """The means that stand beside the mean of all images: key and heading."""
    return {stratum: stratum for stratum in task.stratum_names} | (
        {"weighted": f"at {test_mix(task)}"} if task.test_shares else {}
    )


def test_mix(task: Task) -> str:
    """Return the proportions of the test set in words: `57 % bent`."""
    stratum, share = list(task.test_shares.items())[-1]
    return f"{100 * share:.0f} % {stratum}"


def format_score(score: float | None) -> str:
    """Return a score with four decimals, `-` for None."""
    return "-" if score is None else f"{score:.4f}"


def plus_minus(numbers: Mapping[str, Any], key: str) -> str:
    """Return a mean with its standard deviation over the folds: `0.9512 ± 0.0021`."""
    mean, deviation = numbers[key], numbers["sd"][key]
    return format_score(mean) if mean is None or deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def closing_lines(task: Task, numbers: Mapping[str, Any]) -> list[str]:
    """Return lines with the folds that have no score, the means of strata and, last, the mean of all images."""
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
        lines.append(f"in the test set's mix, {test_mix(task)}: {format_weighted(task, numbers)}")
    return lines


def format_weighted(task: Task, numbers: Mapping[str, Any]) -> str:
    """Return the mean in the test set's mix, or which stratum it cannot be computed without."""
    if numbers["weighted"] is not None:
        return plus_minus(numbers, "weighted")
    lacking = [kind for kind, images in numbers["images_per_stratum"].items() if not images]
    return (
        f"not known, for none of the {task.strata.noun if task.strata else 'images'} held out is {' or '.join(lacking)}"
    )
