"""A cross-validation on one page, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.task import Task
from trainer.drawing.charts import class_dots
from trainer.drawing.crossval_table import cell, columns, mix_of
from trainer.drawing.html import rendered

WORST = 12
"""Held-out images that are listed, from the lowest Dice up."""


def page(task: Task, numbers: Mapping[str, Any]) -> str:
    """The page of what `trainer.crossval.summary` gave."""
    folds = [row["fold"] for row in numbers["folds"]]
    values = {
        "name": f"{numbers['run']}, cross-validation",
        "subtitle": f"{len(numbers['images'])} held-out images in {len(folds)} folds, each by a network that was not "
        "trained on its patient",
        "tiles": tiles(task, numbers),
        "headings": list(columns(task).values()),
        "kinds": [f"{kind} {task.strata.noun}" for kind in task.stratum_names] if task.strata else [],
        "folds": fold_rows(task, numbers),
        "dots": class_dots(numbers["per_class"], task.stratum_names, "Dice"),
        "classes": class_rows(task, numbers),
        "worst": worst(numbers),
        "unscored": numbers["unscored_folds"],
    }
    return rendered("crossval.html.j2", values)


def tiles(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, str]]:
    """The few numbers that matter most."""
    named = [("weighted", f"Dice at the test set's {mix_of(task)}")] if task.test_shares else []
    named += [("mean_dice", "Dice, all held-out images")]
    counts = numbers["images_per_stratum"]
    named += [(kind, f"Dice, {kind}: {counts[kind]} images") for kind in task.stratum_names]
    return [{"value": cell(numbers[key]), "label": label, "spread": spread(numbers, key)} for key, label in named]


def spread(numbers: Mapping[str, Any], key: str) -> str:
    deviation = numbers["sd"][key]
    return "" if deviation is None else f"± {deviation:.4f} over folds"


def fold_rows(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per fold, with a link to its own report."""
    return [
        {
            "fold": row["fold"],
            "report": f"fold{row['fold']}/report.html",
            "cells": [str(row["images"]), *map(str, row["images_per_stratum"].values()), str(row["epoch"])],
            "dice": [cell(row[key]) for key in ("mean_dice", *columns(task))],
        }
        for row in numbers["folds"]
    ]


def class_rows(task: Task, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    group_of = {bone: group for group, bones in task.groups.items() for bone in bones}
    return [
        {
            "name": bone,
            "group": group_of.get(bone, ""),
            "dice": [cell(row[key]) for key in ("mean_dice", "sd", *columns(task), "lowest")],
            "lowest_in": row["lowest_in"],
        }
        for bone, row in numbers["per_class"].items()
    ]


def worst(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The images of the lowest Dice, which are worth a look."""
    ranked = sorted(numbers["images"].items(), key=lambda entry: entry[1]["dice"])
    return [
        {"name": name, "dice": cell(row["dice"]), "stratum": row["stratum"] or "-", "fold": row["fold"]}
        for name, row in ranked[:WORST]
    ]
