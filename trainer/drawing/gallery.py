"""The page of the images and the single classes with the worst scores, and a picture of a case in pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data.task import Task
from trainer.drawing.cutouts import draw_cutout_case
from trainer.drawing.figures import Case, enlarged_figure, figure_of, viewer_of, write_figures
from trainer.drawing.html import render_page
from trainer.drawing.overlays import draw_case
from trainer.evaluation.score_table import ScoreTable
from utils.arrays import Bytes
from utils.files import write_text
from utils.parallel import map_ahead
from utils.viewer.figure import Figure
from utils.viewer.markup import markup

IMAGES, CLASSES = 36, 24
"""Figures of a gallery, at most: a page of 60 stays below 10 MB."""
PAGE, FIGURES = "index.html", "figures.json"
WORST_IMAGES, WORST_CLASSES = "worst images", "worst classes, enlarged"


def write_gallery(folder: Path, task: Task, table: ScoreTable, case_of: Callable[[str], Case], about: str) -> int:
    """Write the page of the worst images and the worst single classes into `folder`; returns the number of figures.

    `about` names what is scored. The figures are also written as JSON, which reports take them from.
    """
    for old in [*folder.glob("image_[0-9][0-9]_*.jpg"), *folder.glob("class_[0-9][0-9]_*.jpg")]:
        old.unlink()  # Pictures of an earlier version.
    groups = worst_figures(task, table, case_of)
    write_figures(folder / FIGURES, groups)
    write_text(folder / PAGE, render_page("cases.html.j2", page_of(task, table, groups, about)))
    return sum(map(len, groups.values()))


def worst_figures(task: Task, table: ScoreTable, case_of: Callable[[str], Case]) -> dict[str, list[Figure]]:
    """Make the figures of whole images and of single classes, the worst of each first."""
    classes = worst_classes(table, CLASSES)
    return {
        WORST_IMAGES: list(map_ahead(lambda name: figure_of(case_of(name), task, table), worst_images(table, IMAGES))),
        WORST_CLASSES: list(
            map_ahead(lambda worst: enlarged_figure(case_of(worst[0]), task, worst[1], table), classes)
        ),
    }


def page_of(task: Task, table: ScoreTable, groups: dict[str, list[Figure]], about: str) -> dict[str, object]:
    """Return the values of the page's template."""
    metric = table.metric
    return {
        "name": "Worst cases",
        "subtitle": about,
        "tiles": [
            {"value": f"{table.mean:.4f}", "label": f"mean {metric.label}"},
            {"value": f"{len(table.rows)}", "label": "images scored"},
            {"value": f"{table.per_image[worst_images(table, 1)[0]]:.4f}", "label": f"{metric.label}, worst image"},
        ],
        "groups": [{"title": title, "viewer": markup(viewer_of(task, figures))} for title, figures in groups.items()],
    }


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
    """Draw the whole image into pixels, magnified if they are few: truth, prediction and errors."""
    caption = f"{case.name}   {case.about}   {table.metric.label} {table.per_image[case.name]:.4f}"
    if case.alphas is not None:
        image, true, alpha = (magnify(part) for part in (case.image, *case.alphas))
        return draw_cutout_case(image, true, alpha, caption)
    image, truth, predicted = (magnify(part) for part in (case.image, case.truth, case.predicted))
    return draw_case(image, truth, predicted, task.class_colours, caption)


def magnify(array: Bytes, at_least_px: int = 480) -> Bytes:
    """Repeat pixels a whole number of times until the longer side has about `at_least_px`; a larger array stays."""
    times = max(1, at_least_px // max(array.shape[:2]))
    return array.repeat(times, axis=0).repeat(times, axis=1)
