"""Write the page of `trainer.compare`: tables, the greatest differences first, and pictures of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.masks.packed import plane
from data.masks.rle import decode
from data.masks.svg_path import svg_path
from data.task import Task
from trainer.compare.comparison import Comparison, Difference, compare_files
from trainer.drawing.figures import class_styles, frame_of, outlines_of, picture_source, window_around
from trainer.drawing.html import render_page
from utils.arrays import Image, Size
from utils.files import refuse_unwritable, write_text
from utils.parallel import map_ahead
from utils.viewer.figure import Column, Figure, Layer, Shape
from utils.viewer.figure import Difference as LayerDifference
from utils.viewer.markup import Viewer, markup

log = logging.getLogger(__name__)

IMAGES, ROWS, LOGGED = 24, 60, 3
"""Whole images that are drawn, rows of the long table, differences in the log."""
CROP_PX = 480
"""Longest side of an enlarged class."""
LAYERS = ("a", "b", "truth")
ONLY_A, ONLY_B, TRUE = "#ff7a1a", "#2e9bff", "#3cdc5a"
MARGIN = 0.3
"""Space around a class, as a share of its size on each side."""


def write_comparison(
    task: Task, a: Path, b: Path, html: Path | None, *, truth: Path | None, images: Path | None, size_hw: Size | None
) -> None:
    """Compare two predictions, write the page if one is named, and log the outcome.

    Raises `UserError` as `compare_files`, and for an `html` that cannot be written.
    """
    refuse_unwritable([] if html is None else [html], [a, b])
    comparison = compare_files(task, a, b, truth=truth, images=images, size_hw=size_hw)
    if html is not None:
        write_text(html, page_of(comparison))
    log_outcome(comparison)
    if html is not None:
        log.info("open %s", html)


def log_outcome(comparison: Comparison) -> None:
    """Log the outcome in a few lines."""
    classes = comparison.task.classes
    log.info("A %s\nB %s", comparison.a.path, comparison.b.path)
    log.info("Dice of A with B: %.4f", np.mean([case.dice for case in comparison.differences]))
    if comparison.truth is not None:
        log.info("with the truth: %s", comparison.verdict)
    for case in comparison.differences[:LOGGED]:
        log.info("they differ most in %s of %s: Dice %.4f", classes[case.index], case.image, case.dice)


def page_of(comparison: Comparison) -> str:
    """Return the page as HTML, with its pictures inside."""
    differences = comparison.differences
    names = comparison.task.classes
    return render_page(
        "compare.html.j2",
        {
            "name": "Two predictions",
            "subtitle": f"A {comparison.a.path}  ·  B {comparison.b.path}",
            "tiles": main_numbers(comparison),
            "scored": comparison.truth is not None,
            "verdict": comparison.verdict,
            "classes": [class_row(names[index], of_class(differences, index)) for index in rank_classes(differences)],
            "cases": [case_row(names[case.index], case) for case in differences[:ROWS]],
            "left_out": max(0, len(differences) - ROWS),
            "crops": markup(viewer_of(comparison, class_figures(comparison))),
            "wholes": markup(viewer_of(comparison, image_figures(comparison))),
        },
    )


def main_numbers(comparison: Comparison) -> list[dict[str, str]]:
    """Return the main numbers with their labels."""
    differences = comparison.differences
    only_a, only_b = sum(case.only_a_px for case in differences), sum(case.only_b_px for case in differences)
    images = len({case.image for case in differences})
    found = [
        (f"{np.mean([case.dice for case in differences]):.4f}", "Dice of A with B"),
        (f"{images}", "images"),
        (f"{only_a / images:,.0f} px", "only in A, per image"),
        (f"{only_b / images:,.0f} px", "only in B, per image"),
    ]
    if comparison.truth is not None:
        a, b = truth_means(differences)
        found += [(f"{a:.4f}", "A's Dice with the truth"), (f"{b:.4f}", "B's Dice with the truth")]
    return [{"value": value, "label": label} for value, label in found]


def rank_classes(differences: Sequence[Difference]) -> list[int]:
    """Return the indices of the classes, the lowest mean Dice first."""
    indices = sorted({case.index for case in differences})
    return sorted(indices, key=lambda index: np.mean([case.dice for case in of_class(differences, index)]))


def rank_images(differences: Sequence[Difference]) -> list[str]:
    """Return the names of the images, the lowest mean Dice first."""
    dices: dict[str, list[float]] = {}
    for case in differences:
        dices.setdefault(case.image, []).append(case.dice)
    return sorted(dices, key=lambda name: float(np.mean(dices[name])))


def worst_of_classes(differences: Sequence[Difference]) -> list[Difference]:
    """Return the greatest difference of each class, the greatest of all first."""
    worst: dict[int, Difference] = {}
    for case in differences:
        worst.setdefault(case.index, case)
    return list(worst.values())


def of_class(differences: Sequence[Difference], index: int) -> list[Difference]:
    """Return the differences of one class."""
    return [case for case in differences if case.index == index]


def truth_means(differences: Sequence[Difference]) -> tuple[float, float]:
    """Return the mean Dice of A and of B with the truth."""
    a, b = np.mean([case.against_truth for case in differences if case.against_truth is not None], axis=0).tolist()
    return a, b


def class_row(name: str, differences: Sequence[Difference]) -> dict[str, Any]:
    """Return a class's row in the table of classes. `differences` are those of the class, the greatest first."""
    only_a, only_b = (np.mean([getattr(case, which) for case in differences]) for which in ("only_a_px", "only_b_px"))
    numbers = [f"{np.mean([case.dice for case in differences]):.4f}", f"{only_a:,.0f}", f"{only_b:,.0f}"]
    if differences[0].against_truth is not None:
        a, b = truth_means(differences)
        numbers += [f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}"]
    return {"name": name, "numbers": [*numbers, f"{differences[0].dice:.4f}"], "image": differences[0].image}


def case_row(name: str, difference: Difference) -> dict[str, Any]:
    """Return a row of the long table."""
    numbers = [f"{difference.dice:.4f}", f"{difference.only_a_px:,}", f"{difference.only_b_px:,}"]
    if difference.against_truth is not None:
        a, b = difference.against_truth
        numbers += [f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}"]
    return {"name": name, "image": difference.image, "numbers": numbers}


def class_figures(comparison: Comparison) -> list[Figure]:
    """Return a figure of each class in the image in which it differs most."""
    return list(map_ahead(partial(class_figure, comparison), worst_of_classes(comparison.differences)))


def image_figures(comparison: Comparison) -> list[Figure]:
    """Return figures of the images that differ most."""
    return list(map_ahead(partial(image_figure, comparison), rank_images(comparison.differences)[:IMAGES]))


def class_figure(comparison: Comparison, difference: Difference) -> Figure:
    """Return the figure of one class, enlarged, in A, in B and in the truth, if there is one."""
    masks = decode(comparison.masks_of(difference), comparison.size_of(difference.image))
    window = window_around(masks, MARGIN)
    image, frame_hw = part_of(comparison, difference.image, window), frame_of(masks[window].shape[:2], CROP_PX)
    name = comparison.task.classes[difference.index]
    shapes = [
        Shape(key, name, svg_path(plane(masks[window], layer), frame_hw))
        for layer, key in enumerate(LAYERS[: comparison.count])
    ]
    return Figure(
        name=name,
        source=picture_source(image, CROP_PX),
        frame_hw=frame_hw,
        shapes=shapes,
        caption=difference.image,
        numbers=numbers_of(difference),
        class_numbers={name: numbers_of(difference)},
    )


def image_figure(comparison: Comparison, name: str) -> Figure:
    """Return the figure of a whole image with all classes in A, in B and in the truth, if there is one."""
    size_hw = comparison.size_of(name)
    frame_hw, classes = frame_of(size_hw), comparison.task.classes
    shapes = [
        shape
        for key, runs in zip(LAYERS, comparison.all_masks_of(name), strict=False)
        for shape in outlines_of(key, decode(runs, size_hw), classes, frame_hw)
    ]
    cases = sorted((case for case in comparison.differences if case.image == name), key=lambda case: case.index)
    means: dict[str, float | None] = {"dice": float(np.mean([case.dice for case in cases]))}
    there = {shape.class_name for shape in shapes}
    return Figure(
        name=name,
        source=picture_source(part_of(comparison, name, (slice(None), slice(None)))),
        frame_hw=frame_hw,
        shapes=shapes,
        numbers=means,
        class_numbers={classes[case.index]: numbers_of(case) for case in cases if classes[case.index] in there},
    )


def part_of(comparison: Comparison, name: str, window: tuple[slice, slice]) -> Image:
    """Read a part of an image; a black one if its file is not known."""
    image = comparison.image_of(name)
    return np.zeros((1, 1), np.uint8) if image is None else image[window]


def numbers_of(difference: Difference) -> dict[str, float | None]:
    """Return the numbers of a difference by the keys of `columns_of`."""
    numbers: dict[str, float | None] = {
        "dice": difference.dice,
        "only_a_px": float(difference.only_a_px),
        "only_b_px": float(difference.only_b_px),
    }
    if difference.against_truth is not None:
        a, b = difference.against_truth
        numbers |= {"a_truth": a, "b_truth": b, "gain": b - a}
    return numbers


def viewer_of(comparison: Comparison, figures: Sequence[Figure]) -> Viewer:
    """Return the viewer of figures with outlines of A, B and the truth; it shows first what differs."""
    layers = (Layer("a", "A", ONLY_A), Layer("b", "B", ONLY_B), Layer("truth", "truth", TRUE, dashed=True))
    columns = [Column("dice", "Dice A–B"), Column("only_a_px", "only A, px", 0), Column("only_b_px", "only B, px", 0)]
    if comparison.truth is not None:
        columns += [Column("a_truth", "A, truth"), Column("b_truth", "B, truth"), Column("gain", "B − A")]
    difference = LayerDifference("a", "b", "only A", "only B", ONLY_A, ONLY_B)
    styles = class_styles(comparison.task)
    return Viewer(figures, styles, layers[: comparison.count], columns, difference, first_view="difference")
