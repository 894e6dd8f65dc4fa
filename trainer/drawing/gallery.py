"""The worst cases as picture files: whole images, and single classes enlarged, that scored lowest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.task import Task
from trainer.drawing.overlays import case, jpeg
from trainer.evaluation.score_table import ScoreTable
from utils.arrays import Bytes, Indices
from utils.files import replacing

IMAGES, CLASSES = 6, 6
MARGIN = 0.75
"""Space around an enlarged class, as a share of its size on each side."""


@dataclass(frozen=True)
class Case:
    """A grey or RGB image with its true and predicted packed masks uint8[H, W, K]."""

    name: str
    image: Bytes
    truth: Bytes
    predicted: Bytes


def draw_gallery(folder: Path, task: Task, table: ScoreTable, case_of: Callable[[str], Case]) -> int:
    """Draw the worst images and the worst single classes into `folder`; returns the number of files."""
    for old in [*folder.glob("image_[0-9][0-9]_*.jpg"), *folder.glob("class_[0-9][0-9]_*.jpg")]:
        old.unlink()
    drawn = 0
    for name, picture in drawings(task, table, case_of):
        with replacing(folder / f"{name}.jpg") as file:
            file.write(jpeg(picture))
        drawn += 1
    return drawn


def drawings(task: Task, table: ScoreTable, case_of: Callable[[str], Case]) -> Iterator[tuple[str, Bytes]]:
    """Pictures with their names: whole images first, then single classes, the worst of each first."""
    for rank, name in enumerate(worst_images(table, IMAGES), 1):
        yield f"image_{rank:02}_{Path(name).stem}", whole(case_of(name), task, table)
    for rank, (name, index) in enumerate(worst_classes(table, CLASSES), 1):
        label = f"{task.classes[index]}_{Path(name).stem}"
        yield f"class_{rank:02}_{label}", enlarged(case_of(name), task, index, table)


def worst_images(table: ScoreTable, count: int) -> list[str]:
    """List the images of the worst mean scores, the worst first."""
    return table.metric.worst_first(table.per_image)[:count]


def worst_classes(table: ScoreTable, count: int) -> list[tuple[str, int]]:
    """List (image, class index) of the worst scores, the worst first, each class once."""
    sign = 1 if table.metric.higher_is_better else -1
    worst = [
        (min((sign * row[index], name) for name, row in table.rows.items()), index)
        for index in range(len(table.classes))
    ]
    return [(name, index) for (_, name), index in sorted(worst)[:count]]


def whole(seen: Case, task: Task, table: ScoreTable) -> Bytes:
    """The whole image: truth, prediction and difference."""
    caption = f"{seen.name}   {table.metric.label} {table.per_image[seen.name]:.4f}"
    image, truth, predicted = (magnified(part) for part in (seen.image, seen.truth, seen.predicted))
    return case(image, truth, predicted, len(task.classes), caption)


def enlarged(seen: Case, task: Task, index: int, table: ScoreTable) -> Bytes:
    """One class, enlarged, with its surroundings; only its own masks are drawn."""
    caption = f"{task.classes[index]} in {seen.name}   {table.metric.label} {table.rows[seen.name][index]:.4f}"
    alone = replace(seen, truth=only(seen.truth, index), predicted=only(seen.predicted, index))
    rows, columns = surroundings(alone.truth | alone.predicted)
    crop = (part[rows, columns] for part in (alone.image, alone.truth, alone.predicted))
    image, truth, predicted = (magnified(part) for part in crop)
    return case(image, truth, predicted, len(task.classes), caption)


def only(packed_HWK: Bytes, index: int) -> Bytes:
    """The packed mask with one class left in it."""
    kept = np.zeros_like(packed_HWK)
    kept[..., index // 8] = packed_HWK[..., index // 8] & (1 << index % 8)
    return kept


def surroundings(packed_HWK: Bytes, margin: float = MARGIN) -> tuple[slice, slice]:
    """A square window (rows, columns) around all that is set, with a margin, kept inside the image."""
    height, width = packed_HWK.shape[:2]
    ys, xs = np.nonzero(packed_HWK.any(axis=2))
    if not len(ys):
        return slice(0, height), slice(0, width)
    side = min(height, width, round((1 + 2 * margin) * max(_span(ys), _span(xs), 8)))
    return _window(ys, side, height), _window(xs, side, width)


def magnified(array: Bytes, at_least_px: int = 480) -> Bytes:
    """Pixels repeated a whole number of times, so that a small crop can be seen."""
    times = max(1, at_least_px // max(array.shape[:2]))
    return array.repeat(times, axis=0).repeat(times, axis=1)


def _span(places: Indices) -> int:
    return int(places.max() - places.min()) + 1


def _window(places: Indices, side: int, limit: int) -> slice:
    centre = (int(np.min(places)) + int(np.max(places))) // 2
    start = min(max(0, centre - side // 2), limit - side)
    return slice(start, start + side)
