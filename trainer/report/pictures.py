"""The pictures of a run's report: drawn into files of its folder, from which the page and the team's messages take
them."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from data.masks.rle import encode
from data.task import Task
from trainer.drawing.charts import class_bars_png
from trainer.drawing.class_map import draw_class_map
from trainer.drawing.figures import LEAST_PX, Case, Groups, figure_of, read_figures, viewer_of, write_figures
from trainer.drawing.gallery import FIGURES, draw_whole_image
from trainer.evaluation.score_table import ScoreTable
from trainer.records.folder import RunFolder
from trainer.split import find_split
from trainer.trained import load_trained
from transform.base import size_of
from utils.arrays import Bytes
from utils.errors import UserError
from utils.files import replacing
from utils.metric import Metric
from utils.pictures import encode_jpeg
from utils.viewer.figure import Figure, data_source
from utils.viewer.markup import markup

log = logging.getLogger(__name__)

BEST, WORST = 2, 4
"""How many held-out images are shown from either end."""
CHART = "*_per_class.png"
"""The chart of all classes, whatever the metric."""
CLASS_MAP = "classes.svg"
HELD_OUT = "worst and best images"
OLD_PICTURES = {
    "worst images": "image_*.jpg",
    "worst classes, enlarged": "class_*.jpg",
    HELD_OUT: "worst_*.jpg",
    "best images": "best_*.jpg",
}
"""Pictures that an earlier version left in a folder, by the title under which they are shown."""


def draw_pictures(folder: RunFolder, task: Task, validation: Mapping[str, Any]) -> None:
    """Draw how the best weights did on held-out images: a chart of all classes, the worst images and the best.

    If the data no longer exist, the pictures drawn before stay, and the log says so.
    """
    if not validation:
        return
    label = f"validation {task.metric.label}"
    _write(folder.pictures / chart_name(task.metric), class_bars_png(validation["per_class"], task.groups, label))
    if not folder.best_weights.exists():
        return
    ends = _ends(task.metric, validation["images"])
    try:
        drawn = held_out_cases(folder, list(ends.values()))
    except UserError as error:
        log.info("the report goes without new validation pictures: %s", error)
        return
    for old in picture_files(folder)[1:]:
        old.unlink()
    _write(folder.pictures / CLASS_MAP, drawn.class_map_svg.encode())
    for (place, name), drawing in zip(ends.items(), drawn.worst, strict=False):
        _write(folder.pictures / f"{place}_{Path(name).stem}.jpg", encode_jpeg(drawing))
    write_figures(folder.pictures / FIGURES, {HELD_OUT: drawn.figures})


def chart_name(metric: Metric) -> str:
    """The name of the file with the chart of all classes."""
    return f"{metric.name}_per_class.png"


def _ends(metric: Metric, score_of_images: Mapping[str, float]) -> dict[str, str]:
    """List the images with the worst and the best scores, under the names that their pictures begin with."""
    ranked = metric.worst_first(score_of_images)
    worst, best = ranked[:WORST], ranked[WORST:][::-1][:BEST]
    return {
        **{f"worst_{rank:02}": name for rank, name in enumerate(worst, 1)},
        **{f"best_{rank:02}": name for rank, name in enumerate(best, 1)},
    }


def picture_files(folder: RunFolder) -> list[Path]:
    """Pictures in pixels: the chart first, then the worst images, and the best as an earlier version drew them."""
    kinds = (CHART, "worst_[0-9][0-9]_*.jpg", "best_[0-9][0-9]_*.jpg")
    return [path for kind in kinds for path in sorted(folder.pictures.glob(kind))]


def pictures_by_title(folder: RunFolder) -> dict[str, Path]:
    """Return the pictures that are sent to the team, by title: the chart and the worst images."""
    worst = [path for path in picture_files(folder) if path.name.startswith("worst_")]
    titled = {f"Worst case {rank}: {path.stem.split('_', 2)[2]}": path for rank, path in enumerate(worst, 1)}
    charts = sorted(folder.pictures.glob(CHART))
    return {charts[0].stem.replace("_", " "): charts[0], **titled} if charts else titled


def shown_pictures(folder: RunFolder, task: Task) -> list[dict[str, str]]:
    """Return the test gallery, if there is one, and the worst and best held-out images, in groups for the page."""
    found = {f"Test: {title}": figures for title, figures in figures_in(folder.gallery, task).items()}
    found |= {f"Validation: {title}": figures for title, figures in figures_in(folder.pictures, task).items()}
    return [{"title": title, "viewer": markup(viewer_of(task, figures))} for title, figures in found.items() if figures]


def figures_in(place: Path, task: Task) -> Groups:
    """Return the figures of a folder by title; those of an earlier version are pictures without outlines."""
    if (place / FIGURES).exists():
        return read_figures(place / FIGURES, task.classes)
    return {
        title: [_without_outlines(path) for path in sorted(place.glob(pattern))]
        for title, pattern in OLD_PICTURES.items()
    }


def _without_outlines(path: Path) -> Figure:
    """Return a picture in pixels as a figure; one that cannot be read has any size."""
    decoded = cv2.imread(str(path))
    height, width = (LEAST_PX, LEAST_PX) if decoded is None else decoded.shape[:2]
    return Figure(path.stem, data_source(path.read_bytes()), (height, width))


@dataclass
class Drawn:
    """Held-out images as figures, the worst in pixels too, and an `<svg>` that names the classes of the last."""

    figures: list[Figure]
    worst: list[Bytes]
    class_map_svg: str


def held_out_cases(folder: RunFolder, names: Sequence[str]) -> Drawn:
    """Draw these held-out images, the worst first, with truth and prediction (by the best weights)."""
    trained = load_trained(folder.best_weights, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    samples = {sample.name: sample for sample in find_split(trained.config, check=False).valid}
    task = trained.task
    table = ScoreTable(task.classes, task.metric)
    drawn = Drawn([], [], "")
    for sample, predicted in trained.predictor.masks([samples[name] for name in names]):
        image, truth = trained.task.read(sample)
        table.add(sample.name, task.score(predicted, truth))
        hard_truth, hard_mask = map(task.encoding.harden, (truth, predicted))
        about = task.caption(sample, encode(hard_truth, len(task.classes)), size_of(image))
        alphas = (truth[..., 0], predicted[..., 0]) if task.encoding.soft else None
        case = Case(sample.name, image, hard_truth, hard_mask, about, alphas)
        drawn.figures.append(figure_of(case, task, table))
        if len(drawn.worst) < WORST:
            drawn.worst.append(draw_whole_image(case, task, table))
        colour_of = dict(zip(task.classes, task.class_colours, strict=True))
        drawn.class_map_svg = draw_class_map(image, hard_truth, colour_of)
    return drawn


def class_map_of(folder: RunFolder) -> str:
    """Return the source of the picture that names the classes; empty if it has not been drawn.

    As the source of an image, an `<svg>` from another person's folder runs no script.
    """
    path = folder.pictures / CLASS_MAP
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.exists() else ""


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
