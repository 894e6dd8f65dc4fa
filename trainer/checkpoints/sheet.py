"""The contact sheet: a few images in rows, networks of a run in columns, each cut-out with its score.

The best number and the network that looks best differ, so people shall see both. The choice follows from the scores
alone: the same scores give the same sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.schema import Config
from data.sample import Sample
from data.task import Task
from trainer.checkpoints.candidates import BEST, START, Candidate
from trainer.checkpoints.scoring import Scored
from trainer.checkpoints.table import best_here
from trainer.drawing.cutouts import draw_prediction
from trainer.records.folder import RunFolder
from utils.arrays import Picture
from utils.files import replacing
from utils.pictures import as_picture, encode_jpeg, shrink
from utils.progress import track

IMAGES, NETWORKS = 6, 6
"""Rows, and columns beside those of the photograph and of the truth."""
SIDE_PX = 256
"""The larger side of a picture."""
PICTURES = "checkpoints_{image:02}_{place}.jpg"


def draw_sheet(
    folder: RunFolder,
    config: Config,
    task: Task,
    samples: Sequence[Sample],
    candidates: Sequence[Candidate],
    rows: Sequence[Scored],
    device: torch.device,
) -> dict[str, Any]:
    """Draw the pictures of the sheet into the run's folder; return the sheet as plain values."""
    for old in folder.pictures.glob(PICTURES.format(image=0, place="*").replace("00", "[0-9][0-9]")):
        old.unlink()
    by_name = {sample.name: sample for sample in samples}
    shown = [by_name[name] for name in choose_images(task, rows)]
    columns = choose_networks(task, rows)
    sheet: list[dict[str, Any]] = []
    for number, sample in enumerate(shown):
        image, truth = task.read(sample)
        pictures = {"photo": shrink(as_picture(image), SIDE_PX), "truth": draw_prediction(task, image, truth, SIDE_PX)}
        names = {place: _write(folder.pictures, number, place, picture) for place, picture in pictures.items()}
        sheet.append({"image": sample.name, **names, "cells": []})
    chosen = {candidate.name: candidate for candidate in candidates if candidate.name in columns}
    score_of = {row.name: row.scores for row in rows}
    for column in track(columns, "Contact sheet", len(columns)):
        for number, picture in enumerate(drawn_by(chosen[column], config, task, shown, device)):
            score = score_of[column][shown[number].name][task.metric.name]
            place = column.replace(" ", "_")
            name = _write(folder.pictures, number, place, picture)
            sheet[number]["cells"].append({"picture": name, "score": score})
    return {"columns": columns, "rows": sheet}


def drawn_by(
    candidate: Candidate, config: Config, task: Task, samples: Sequence[Sample], device: torch.device
) -> Iterator[Picture]:
    """Yield a picture of what one network makes of each sample."""
    for sample, mask in candidate.load(config, device).predictor.accelerated().masks(samples):
        yield draw_prediction(task, task.read_image(sample.image), mask, SIDE_PX)


def choose_images(task: Task, rows: Sequence[Scored]) -> list[str]:
    """Choose images at equal distances from the hardest, which comes first, to the easiest, by all networks' mean."""
    metric, counted = task.metric.name, distinct(rows)
    means = {image: float(np.mean([row.scores[image][metric] for row in counted])) for image in sorted(rows[0].scores)}
    ranked = task.metric.worst_first(means)
    places = np.linspace(0, len(ranked) - 1, min(IMAGES, len(ranked)))
    return [ranked[round(place)] for place in places]


def choose_networks(task: Task, rows: Sequence[Scored]) -> list[str]:
    """Choose networks spread over the training; the start, the run's best, the best on these images and the last are
    always among them."""
    counted = distinct(rows)
    twin = {row.name: row.same_as or row.name for row in rows}
    always = {START, twin.get(BEST, ""), best_here(task, counted).name, counted[-1].name}
    chosen = [place for place, row in enumerate(counted) if row.name in always]
    while len(chosen) < min(NETWORKS, len(counted)):
        left = [place for place in range(len(counted)) if place not in chosen]
        chosen.append(max(left, key=lambda place: min((abs(place - other) for other in chosen), default=0)))
    return [counted[place].name for place in sorted(chosen)]


def distinct(rows: Sequence[Scored]) -> list[Scored]:
    """Leave out the networks that are the same as one before them."""
    return [row for row in rows if row.same_as is None]


def _write(folder: Path, number: int, place: str, picture: Picture) -> str:
    """Write a picture of the sheet; return its file name."""
    name = PICTURES.format(image=number, place=place)
    with replacing(folder / name) as file:
        file.write(encode_jpeg(picture))
    return name
