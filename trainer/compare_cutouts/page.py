"""Write the page of `trainer.compare_cutouts`: photographs and cut-outs side by side, scored if masks are given."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from data.sample import Sample
from trainer.checkpoints.table import summary
from trainer.compare_cutouts.comparison import SIDE_PX, Comparison, Cutout, compare_networks
from trainer.drawing.checkpoints import LIMITS, best, table_of
from trainer.drawing.cutouts import draw_prediction
from trainer.drawing.html import render_page
from utils.files import refuse_unwritable, write_text
from utils.pictures import as_picture, encode_jpeg, shrink
from utils.text import pluralize
from utils.viewer.figure import data_source

log = logging.getLogger(__name__)

ALL = "All images"
MOST = 40
"""Pictures of a part of the page; those that tell most come first."""


def write_comparison(models: Sequence[Path], images: Path, html: Path, *, masks: Path | None) -> None:
    """Compare networks on images and write the page. Raises `UserError` as `compare_networks`, and for an `html` that
    cannot be written."""
    refuse_unwritable([html], [*models, images])
    comparison = compare_networks(models, images, masks, Accelerator(mixed_precision="no").device)
    parts = parts_of_page(comparison)
    write_text(html, render_page("compare_cutouts.html.j2", page_of(comparison, parts)))
    for part in parts:
        if part["table"]:
            log.info("%s: %s", part["title"], part["table"]["lines"][0])
    log.info("open %s", html)


def page_of(comparison: Comparison, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the template shows."""
    tiles = [(len(comparison.cutouts), "networks"), (len(comparison.samples), "all images")]
    tiles += [(part["images"], part["title"].lower()) for part in parts if part["title"] != ALL]
    return {
        "name": "Cut-outs compared",
        "subtitle": "  ·  ".join(comparison.cutouts),
        "tiles": [{"value": f"{value}", "label": label} for value, label in tiles],
        "parts": parts,
        "notes": [note for note in (comparison.counted, order_of(comparison)) if note],
    }


def order_of(comparison: Comparison) -> str:
    """Say in which order images stand."""
    if comparison.scored:
        return f"The images with the lowest mean {comparison.task.metric.label} of all networks come first."
    return "The images about which the networks differ most come first."


def parts_of_page(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the parts of the page: images of one object, of several and of none, or all if nobody has counted.

    If several parts have scores, those of all images come first.
    """
    samples, counts = comparison.samples, comparison.counts
    if counts is None:
        return [part_of(comparison, ALL, samples)]
    kinds = {
        "One object": [sample for sample in samples if counts[sample.name] == 1],
        "Groups": [sample for sample in samples if counts[sample.name] > 1],
        "No object": [sample for sample in samples if counts[sample.name] == 0],
    }
    parts = [part_of(comparison, title, chosen) for title, chosen in kinds.items() if chosen]
    if comparison.scored and len(parts) > 1:
        together = {"title": ALL, "images": len(samples), "table": scores_of(comparison, samples)}
        parts.insert(0, {**together, "sheet": None, "left_out": 0})
    return parts


def part_of(comparison: Comparison, title: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return one part: its table, if there are true masks, and its pictures."""
    shown = ranked(comparison, samples)[:MOST]
    return {
        "title": title,
        "images": len(samples),
        "table": scores_of(comparison, samples) if comparison.scored else None,
        "sheet": sheet_of(comparison, shown),
        "left_out": len(samples) - len(shown),
    }


def ranked(comparison: Comparison, samples: Sequence[Sample]) -> list[Sample]:
    """Return images in the order that `order_of` says."""
    if not comparison.scored:
        return sorted(samples, key=lambda sample: -comparison.disagreement(sample))
    metric, rows = comparison.task.metric, comparison.rows(samples)
    mean = {sample.name: sum(row.scores[sample.name][metric.name] for row in rows) / len(rows) for sample in samples}
    by_name = {sample.name: sample for sample in samples}
    return [by_name[name] for name in metric.worst_first(mean)]


def scores_of(comparison: Comparison, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the table of all networks on some images."""
    found = summary(comparison.task, samples, comparison.rows(samples), None)
    (_, *headings), rows = table_of(found, "scores")
    return {
        "headings": ["network", *headings],
        "rows": rows,
        "best": [row["name"] == found["best_here"] for row in found["checkpoints"]],
        "lines": [best(found), f"{headings[1]}: {LIMITS}."],
    }


def sheet_of(comparison: Comparison, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return rows of photograph, truth if there is one, and the cut-out of each network."""
    columns = list(comparison.cutouts)
    rows = [row_of(comparison, sample) for sample in samples]
    return {"columns": columns, "best": [False] * len(columns), "truth": comparison.scored, "rows": rows}


def row_of(comparison: Comparison, sample: Sample) -> dict[str, Any]:
    """Return one image: its own picture, that of the truth, and the cut-outs with a few words about each."""
    task, image = comparison.task, comparison.task.read_image(sample.image)
    row = {"image": sample.name, "photo": data_source(encode_jpeg(shrink(as_picture(image), SIDE_PX)))}
    if comparison.counts is not None:
        row["image"] += f" ({pluralize(comparison.counts[sample.name], 'object')})"
    if comparison.scored:
        truth = task.read_mask(sample, task.image_size(sample.image))
        row["truth"] = data_source(encode_jpeg(draw_prediction(task, image, truth, SIDE_PX)))
    cutouts = [of_image[sample.name] for of_image in comparison.cutouts.values()]
    cells = [{"source": data_source(one.picture), "note": note_of(comparison, one)} for one in cutouts]
    return {**row, "cells": cells}


def note_of(comparison: Comparison, cutout: Cutout) -> str:
    """Say how good a cut-out is, and if nothing is cut out."""
    metric = comparison.task.metric
    score = "" if cutout.numbers is None else f"{metric.label} {cutout.numbers[metric.name]:.3f}"
    return ", ".join(filter(None, (score, "nothing found" if cutout.is_empty else "")))
