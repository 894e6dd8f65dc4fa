"""Make the page of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.task import Task
from trainer.crossval.table import counted_of, format_score, mean_columns, test_mix
from trainer.drawing.charts import class_dots
from trainer.drawing.figures import viewer_of
from trainer.drawing.html import render_page
from utils.viewer.figure import Figure
from utils.viewer.markup import markup

WORST = 12
"""Held-out images that are listed, from the worst score up."""


def page_of(task: Task, numbers: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """Return the page of the numbers that `trainer.crossval.crossval.summary` returned, and of figures of images."""
    folds = [row["fold"] for row in numbers["folds"]]
    values = {
        "name": f"{numbers['run']}, cross-validation",
        "subtitle": f"{len(numbers['images'])} held-out images in {len(folds)} folds, each by a network that was not "
        f"trained on its {task.layout.group}",
        "tiles": main_numbers(task, numbers),
        "headings": list(mean_columns(task).values()),
        "kinds": [f"{kind} {task.strata.noun}" for kind in task.stratum_names] if task.strata else [],
        "folds": fold_rows(task, numbers),
        "counted": counted_of(numbers),
        "dots": class_dots(numbers["per_class"], task.stratum_names, task.metric),
        "classes": class_rows(task, numbers),
        "worst": worst_images(task, numbers),
        "viewer": markup(viewer_of(task, figures)) if figures else "",
        "metric": task.metric,
        "unscored": numbers["unscored_folds"],
    }
    return render_page("crossval.html.j2", values)


def main_numbers(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the main numbers with their labels."""
    word = task.metric.label
    named = [("weighted", f"{word} at the test set's {test_mix(task)}")] if task.test_shares else []
    named += [(task.metric.mean_name, f"{word}, all held-out images")]
    counts = numbers["images_per_stratum"]
    named += [(kind, f"{word}, {kind}: {counts[kind]} images") for kind in task.stratum_names]
    return [
        {"value": format_score(numbers[key]), "label": label, "spread": format_deviation(numbers, key)}
        for key, label in named
    ]


def format_deviation(numbers: Mapping[str, Any], key: str) -> str:
    deviation = numbers["sd"][key]
    return "" if deviation is None else f"± {deviation:.4f} over folds"


def fold_rows(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each fold, with a link to its report."""
    return [
        {
            "fold": row["fold"],
            "report": f"fold{row['fold']}/report.html",
            "cells": [str(row["images"]), *map(str, row["images_per_stratum"].values()), str(row[counted_of(numbers)])],
            "scores": [format_score(row[key]) for key in (task.metric.mean_name, *mean_columns(task))],
        }
        for row in numbers["folds"]
    ]


def class_rows(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    group_of = {name: group for group, names in task.groups.items() for name in names}
    return [
        {
            "name": name,
            "group": group_of.get(name, ""),
            "scores": [format_score(row[key]) for key in (task.metric.mean_name, "sd", *mean_columns(task), "lowest")],
            "lowest_in": row["lowest_in"],
        }
        for name, row in numbers["per_class"].items()
    ]


def worst_images(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the images with the worst scores, the worst first."""
    metric, images = task.metric, numbers["images"]
    ranked = metric.worst_first({name: row[metric.name] for name, row in images.items()})[:WORST]
    return [
        {"name": name, "score": format_score(row[metric.name]), "stratum": row["stratum"] or "-", "fold": row["fold"]}
        for name, row in ((name, images[name]) for name in ranked)
    ]
