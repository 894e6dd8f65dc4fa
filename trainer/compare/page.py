"""Write the page of `trainer.compare`: tables, the greatest differences first, and pictures of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.masks.packed import plane
from data.masks.rle import decode
from data.task import Task
from trainer.compare.comparison import Comparison, Difference, compare_files
from trainer.drawing.gallery import magnify, window_around
from trainer.drawing.html import jpeg_source, render_page
from trainer.drawing.overlays import ONLY_A, ONLY_B, TRUE, draw_difference
from utils.arrays import Bytes, Size
from utils.files import refuse_unwritable, write_text
from utils.parallel import map_ahead
from utils.pictures import as_hex, encode_jpeg

log = logging.getLogger(__name__)

IMAGES, ROWS, LOGGED = 6, 60, 3
"""Whole images that are drawn, rows of the long table, differences in the log."""
CROP_PX, WHOLE_PX = 420, 900
"""Longest sides of the pictures."""
MARGIN = 0.3
"""Space around a class, as a share of its size on each side."""


def write_comparison(
    task: Task, a: Path, b: Path, html: Path, *, truth: Path | None, images: Path | None, size_hw: Size | None
) -> None:
    """Compare two predictions and write the page. Raises `UserError` as `compare_files`, and for an `html` that cannot
    be written."""
    refuse_unwritable([html], [a, b])
    comparison = compare_files(task, a, b, truth=truth, images=images, size_hw=size_hw)
    write_text(html, page_of(comparison))
    log_outcome(comparison)
    log.info("open %s", html)


def log_outcome(comparison: Comparison) -> None:
    """Log the outcome in a few lines."""
    classes = comparison.task.classes
    log.info("A %s\nB %s", comparison.a.path, comparison.b.path)
    log.info("Dice of A with B: %.4f", np.mean([case.dice for case in comparison.differences]))
    if comparison.truth is not None:
        means = np.mean([case.against_truth for case in comparison.differences if case.against_truth], axis=0)
        log.info("Dice with the truth: A %.4f, B %.4f", *means)
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
            "colours": {"a": as_hex(ONLY_A), "b": as_hex(ONLY_B), "truth": as_hex(TRUE)},
            "scored": comparison.truth is not None,
            "classes": [class_row(names[index], of_class(differences, index)) for index in rank_classes(differences)],
            "cases": [case_row(names[case.index], case) for case in differences[:ROWS]],
            "left_out": max(0, len(differences) - ROWS),
            "crops": list(map_ahead(lambda case: draw_class(comparison, case), worst_of_classes(differences))),
            "wholes": list(map_ahead(lambda name: draw_image(comparison, name), rank_images(differences)[:IMAGES])),
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


def draw_class(comparison: Comparison, difference: Difference) -> dict[str, str]:
    """Draw one class, enlarged, with the outline of the truth if there is one."""
    masks_of_class = comparison.masks_of(difference)
    masks = decode(masks_of_class, comparison.size_of(difference.image))
    window = window_around(masks, MARGIN)
    of_a, of_b, *true = (plane(magnify(masks[window], CROP_PX), index) for index in range(len(masks_of_class)))
    image = comparison.image_of(difference.image)
    under = None if image is None else magnify(image[window], CROP_PX)
    picture = draw_difference(of_a & of_b, of_a & ~of_b, of_b & ~of_a, under, *true)
    title = comparison.task.classes[difference.index]
    return {
        "source": jpeg_source(encode_jpeg(picture)),
        "title": title,
        "image": difference.image,
        "note": note_of(difference),
    }


def draw_image(comparison: Comparison, name: str) -> dict[str, str]:
    """Draw a whole image with the differences of all classes.

    A difference of a single pixel can still be seen after the image is shrunk: its mean is above 0.
    """
    size_hw = comparison.size_of(name)
    a, b = (decode(runs, size_hw) for runs in comparison.all_masks_of(name)[:2])
    parts = (np.asarray(mask.any(axis=2), np.uint8) * np.uint8(255) for mask in (a & b, a & ~b, b & ~a))
    agreed, only_a, only_b = (shrink(part, WHOLE_PX) for part in parts)
    image = comparison.image_of(name)
    under = None if image is None else shrink(image, WHOLE_PX)
    dices = [case.dice for case in comparison.differences if case.image == name]
    return {
        "source": jpeg_source(encode_jpeg(draw_difference(agreed > 127, only_a > 0, only_b > 0, under))),
        "title": name,
        "image": "",
        "note": f"mean Dice {np.mean(dices):.4f}, lowest {min(dices):.4f}",
    }


def shrink(pixels_HW: Bytes, side_px: int) -> Bytes:
    """Shrink an image to at most `side_px`; each new pixel is the mean of those that it covers."""
    scale = min(1.0, side_px / max(pixels_HW.shape))
    height, width = (max(1, round(side * scale)) for side in pixels_HW.shape)
    return np.asarray(cv2.resize(pixels_HW, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def note_of(difference: Difference) -> str:
    """Return the caption of a difference."""
    note = f"Dice {difference.dice:.4f} · only A {difference.only_a_px:,} px · only B {difference.only_b_px:,} px"
    if difference.against_truth is not None:
        a, b = difference.against_truth
        note += f" · with the truth: A {a:.4f}, B {b:.4f}"
    return note
