"""Draw the images and the single classes with the worst scores into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.task import Task
from trainer.drawing.cutouts import draw_cutout_case
from trainer.drawing.overlays import draw_case
from trainer.evaluation.score_table import ScoreTable
from utils.arrays import Bytes, Indices
from utils.files import replacing
from utils.pictures import encode_jpeg

IMAGES, CLASSES = 6, 6
MARGIN = 0.75
"""Space around an enlarged class, as a share of its size on each side."""


@dataclass(frozen=True)
class Case:
    """A grey or RGB image with its true and predicted packed masks uint8[H, W, K].

    `about` are a few words for its caption, see `Task.caption`.
    """

    name: str
    image: Bytes
    truth: Bytes
    predicted: Bytes
    about: str = ""
    alphas: tuple[Bytes, Bytes] | None = None
    """Of soft masks the true and the predicted alpha, uint8[H, W]: then they are drawn as cut-outs."""


def draw_gallery(folder: Path, task: Task, table: ScoreTable, case_of: Callable[[str], Case]) -> int:
    """Draw the worst images and the worst single classes into `folder`; returns the number of files."""
    for old in [*folder.glob("image_[0-9][0-9]_*.jpg"), *folder.glob("class_[0-9][0-9]_*.jpg")]:
        old.unlink()
    drawn = 0
    for name, picture in draw_worst(task, table, case_of):
        with replacing(folder / f"{name}.jpg") as file:
            file.write(encode_jpeg(picture))
        drawn += 1
    return drawn


def draw_worst(task: Task, table: ScoreTable, case_of: Callable[[str], Case]) -> Iterator[tuple[str, Bytes]]:
    """Yield pictures with their names: whole images, then single classes, the worst of each first."""
    for rank, name in enumerate(worst_images(table, IMAGES), 1):
        yield f"image_{rank:02}_{Path(name).stem}", draw_whole_image(case_of(name), task, table)
    for rank, (name, index) in enumerate(worst_classes(table, CLASSES), 1):
        label = f"{task.classes[index]}_{Path(name).stem}"
        yield f"class_{rank:02}_{label}", draw_enlarged_class(case_of(name), task, index, table)


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


def draw_whole_image(case: Case, task: Task, table: ScoreTable) -> Bytes:
    """Draw the whole image: truth, prediction and errors."""
    caption = f"{case.name}   {case.about}   {table.metric.label} {table.per_image[case.name]:.4f}"
    return draw_panels(case, task, (slice(None), slice(None)), caption)


def draw_panels(case: Case, task: Task, window: tuple[slice, slice], caption: str) -> Bytes:
    """Draw rows and columns of a case, magnified if they are few."""
    if case.alphas is not None:
        image, true, alpha = (magnify(part[window]) for part in (case.image, *case.alphas))
        return draw_cutout_case(image, true, alpha, caption)
    image, truth, predicted = (magnify(part[window]) for part in (case.image, case.truth, case.predicted))
    return draw_case(image, truth, predicted, len(task.classes), caption)


def draw_enlarged_class(case: Case, task: Task, index: int, table: ScoreTable) -> Bytes:
    """Draw one class, enlarged, with what is around it; the masks of other classes are left out."""
    caption = (
        f"{task.classes[index]} in {case.name}   {case.about}   {table.metric.label} {table.rows[case.name][index]:.4f}"
    )
    alone = replace(case, truth=keep_class(case.truth, index), predicted=keep_class(case.predicted, index))
    return draw_panels(alone, task, window_around(alone.truth | alone.predicted), caption)


def keep_class(packed_HWK: Bytes, index: int) -> Bytes:
    """Return the packed mask of one class alone."""
    kept = np.zeros_like(packed_HWK)
    kept[..., index // 8] = packed_HWK[..., index // 8] & (1 << index % 8)
    return kept


def window_around(packed_HWK: Bytes, margin: float = MARGIN) -> tuple[slice, slice]:
    """Return a square window (rows, columns) around all pixels of the masks, with a margin, inside the image."""
    height, width = packed_HWK.shape[:2]
    ys, xs = np.nonzero(packed_HWK.any(axis=2))
    if not len(ys):
        return slice(0, height), slice(0, width)
    side = min(height, width, round((1 + 2 * margin) * max(_span(ys), _span(xs), 8)))
    return _window(ys, side, height), _window(xs, side, width)


def magnify(array: Bytes, at_least_px: int = 480) -> Bytes:
    """Repeat pixels a whole number of times until the longer side has about `at_least_px`; a larger array stays."""
    times = max(1, at_least_px // max(array.shape[:2]))
    return array.repeat(times, axis=0).repeat(times, axis=1)


def _span(places: Indices) -> int:
    return int(places.max() - places.min()) + 1


def _window(places: Indices, side: int, limit: int) -> slice:
    centre = (int(np.min(places)) + int(np.max(places))) // 2
    start = min(max(0, centre - side // 2), limit - side)
    return slice(start, start + side)
