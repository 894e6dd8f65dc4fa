"""The pictures of a run's report: drawn into files of its folder, from which the page takes them in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from data.masks.rle import encode
from data.task import Task
from trainer.drawing.charts import class_bars_png
from trainer.drawing.class_map import draw_class_map
from trainer.drawing.gallery import Case, draw_whole_image
from trainer.drawing.html import jpeg_source
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

log = logging.getLogger(__name__)

BEST, WORST = 2, 4
"""How many held-out images are shown from either end."""
CHART = "*_per_class.png"
"""The chart of all classes, whatever the metric."""
CLASS_MAP = "classes.svg"


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
        drawn, class_map_svg = held_out_cases(folder, list(ends.values()))
    except UserError as error:
        log.info("the report goes without new validation pictures: %s", error)
        return
    for old in picture_files(folder)[1:]:
        old.unlink()
    _write(folder.pictures / CLASS_MAP, class_map_svg.encode())
    for (place, name), drawing in zip(ends.items(), drawn, strict=True):
        _write(folder.pictures / f"{place}_{Path(name).stem}.jpg", encode_jpeg(drawing))


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
    """What `draw_pictures` has drawn: the chart first, then the worst images, then the best."""
    kinds = (CHART, "worst_[0-9][0-9]_*.jpg", "best_[0-9][0-9]_*.jpg")
    return [path for kind in kinds for path in sorted(folder.pictures.glob(kind))]


def pictures_by_title(folder: RunFolder) -> dict[str, Path]:
    """Return the pictures that are sent to the team, by title: the chart and the worst images."""
    worst = [path for path in picture_files(folder) if path.name.startswith("worst_")]
    titled = {f"Worst case {rank}: {path.stem.split('_', 2)[2]}": path for rank, path in enumerate(worst, 1)}
    charts = sorted(folder.pictures.glob(CHART))
    return {charts[0].stem.replace("_", " "): charts[0], **titled} if charts else titled


def shown_pictures(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the test gallery, if there is one, and the worst and best held-out images, in groups for the page."""
    groups = (
        ("Test: worst images", folder.gallery, "image_*.jpg"),
        ("Test: worst classes, enlarged", folder.gallery, "class_*.jpg"),
        ("Validation: worst images", folder.pictures, "worst_*.jpg"),
        ("Validation: best images", folder.pictures, "best_*.jpg"),
    )
    found = [{"title": title, "pictures": _pictures(place, pattern)} for title, place, pattern in groups]
    return [group for group in found if group["pictures"]]


def held_out_cases(folder: RunFolder, names: Sequence[str]) -> tuple[list[Bytes], str]:
    """Draw these held-out images with truth, prediction (by the best weights) and difference; the last one's classes
    are named in an `<svg>` too."""
    trained = load_trained(folder.best_weights, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    samples = {sample.name: sample for sample in find_split(trained.config, check=False).valid}
    task = trained.task
    table = ScoreTable(task.classes, task.metric)
    drawn, class_map_svg = [], ""
    for sample, predicted in trained.predictor.masks([samples[name] for name in names]):
        image, truth = trained.task.read(sample)
        table.add(sample.name, task.score(predicted, truth))
        hard_truth, hard_mask = map(task.encoding.harden, (truth, predicted))
        about = task.caption(sample, encode(hard_truth, len(task.classes)), size_of(image))
        alphas = (truth[..., 0], predicted[..., 0]) if task.encoding.soft else None
        drawn.append(draw_whole_image(Case(sample.name, image, hard_truth, hard_mask, about, alphas), task, table))
        class_map_svg = draw_class_map(image, hard_truth, task.classes)
    return drawn, class_map_svg


def class_map_of(folder: RunFolder) -> str:
    """Return the picture that names the classes, an `<svg>`; empty if it has not been drawn."""
    path = folder.pictures / CLASS_MAP
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _pictures(place: Path, pattern: str) -> list[dict[str, str]]:
    return [{"source": jpeg_source(path.read_bytes()), "caption": path.stem} for path in sorted(place.glob(pattern))]


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
