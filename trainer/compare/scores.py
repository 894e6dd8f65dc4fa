"""Compare two runs or two scored predictions by their scores, image by image, without their masks."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.task import Task
from trainer.evaluation.paired import paired_test, verdict
from trainer.records.folder import RunFolder
from utils.errors import DAMAGED, UserError
from utils.files import paths_in, read_json
from utils.table import print_table
from utils.text import list_names

log = logging.getLogger(__name__)


@dataclass
class ImageScores:
    """The scores of each image and class, and the groups of the images."""

    rows: dict[str, Mapping[str, float]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    @property
    def means(self) -> dict[str, float]:
        """The mean over classes of each image."""
        return {image: float(np.mean(list(row.values()))) for image, row in self.rows.items()}

    def mean_of(self, label: str) -> float:
        """The mean over images of a class."""
        return float(np.mean([row[label] for row in self.rows.values()]))


def holds_scores(path: Path) -> bool:
    """Whether a path is a file of scores or a run's folder, and no prediction."""
    return path.suffix == ".json" or bool(run_files(path))


def compare_scores(task: Task, a: Path, b: Path) -> None:
    """Print the scores of each class, and say whether B is better than A.

    Each is a run's folder (its held-out images; of several folds all of them), or a file that a run or `evaluate.py
    --json` has written. Raises `UserError` for a file without scores by the task's metric, and for different images.
    """
    of_a, of_b = read_scores(task, a), read_scores(task, b)
    refuse_different_images(a, of_a, b, of_b)
    log.info("A %s\nB %s", a, b)
    print_classes(task, of_a, of_b)
    test = paired_test(of_a.means, of_b.means, of_a.groups | of_b.groups)
    log.info("%s", verdict(test, task.metric, task.layout.group))


def print_classes(task: Task, a: ImageScores, b: ImageScores) -> None:
    """Print the means of each class, the one in which B is worst beside A first."""
    rows = [(label, a.mean_of(label), b.mean_of(label)) for label in next(iter(a.rows.values()))]
    rows.sort(key=lambda row: -task.metric.badness(row[2]) + task.metric.badness(row[1]))
    shown = [(label, f"{of_a:.4f}", f"{of_b:.4f}", f"{of_b - of_a:+.4f}") for label, of_a, of_b in rows]
    print_table(
        f"{task.metric.label} per class", ("class", "A", "B", "B − A"), shown, text_columns=("class",), lines=()
    )


def read_scores(task: Task, path: Path) -> ImageScores:
    """Read the scores of a run, of all its folds, or of a file. Folds without scores are named in a warning."""
    scores = ImageScores()
    folds = [RunFolder(fold) for fold in paths_in(path, "fold*")]
    unscored = [fold.path.name for fold in folds if fold.config.exists() and not fold.validation.exists()]
    if unscored and len(unscored) < len(folds):
        log.warning("%s: %s: not evaluated yet, so its images are not compared", path, list_names(unscored))
    for file in run_files(path) or [path]:
        found = read_json(
            file, unreadable="A run writes it after its first evaluation.", malformed="Have it written anew."
        )
        add_scores(scores, file, found, task)
    return scores


def run_files(path: Path) -> list[Path]:
    """Return the files with the scores of a run or of its folds; none if it is no run's folder."""
    if RunFolder(path).config.exists():
        return [RunFolder(path).validation]
    return [file for fold in paths_in(path, "fold*") if (file := RunFolder(fold).validation).exists()]


def add_scores(scores: ImageScores, file: Path, found: Any, task: Task) -> None:
    """Add the images of a file. Raises `UserError` for a file of another kind, and for an image that is there."""
    try:
        rows, groups = found["per_image_and_class"], found.get("groups", {})
        known = task.metric.mean_name in found
        complete = rows and all(row and all(map(math.isfinite, row.values())) for row in rows.values())
        same = len({tuple(row) for row in (*scores.rows.values(), *rows.values())}) == 1
        groups = {str(image): str(group) for image, group in groups.items()}
    except DAMAGED as error:
        raise UserError(
            f"{file}: holds no scores of images ({type(error).__name__}: {error}). Name a run's folder, its "
            "validation.json, or what evaluate.py --json has written."
        ) from error
    if not known:
        raise UserError(f"{file}: holds no {task.metric.mean_name}. Say with --task whose scores these are.")
    if not (complete and same):
        raise UserError(f"{file}: is damaged: a score is missing or no number. Have it written anew.")
    if twice := sorted(rows.keys() & scores.rows.keys()):
        raise UserError(f"{file}: {list_names(twice)}: held out in another fold too. Name one fold.")
    scores.rows |= rows
    scores.groups |= groups


def refuse_different_images(a: Path, of_a: ImageScores, b: Path, of_b: ImageScores) -> None:
    """Raise `UserError` if the two scored different images or classes: then nothing can be compared in pairs."""
    alone = [(a, sorted(of_a.rows.keys() - of_b.rows.keys())), (b, sorted(of_b.rows.keys() - of_a.rows.keys()))]
    for path, images in alone:
        if images:
            raise UserError(
                f"{path}: {list_names(images)}: not scored by the other. Name two that were scored on the same images."
            )
    if set(next(iter(of_a.rows.values()))) != set(next(iter(of_b.rows.values()))):
        raise UserError(f"{b}: its classes are not those of {a}. Name two scores of the same classes.")
