"""Cross-validation: join the held-out scores of all folds of a run.

RUN is a folder with `fold<k>/` inside, as `train.py fold=all` makes it. Every image counts once, by the network that
was not trained on its group. Written: `crossval.json` and `crossval.html`.
"""

from __future__ import annotations

import json
import logging
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.changes import flattened, may_change
from configs.loading.load import as_dict, load_as
from configs.schema import Config
from data.task import Task
from trainer.crossval.page import page_of
from trainer.crossval.table import print_crossval
from trainer.drawing.figures import read_figures
from trainer.drawing.gallery import FIGURES
from trainer.evaluation.score_table import ScoreTable
from trainer.records.folder import RunFolder
from utils.errors import DAMAGED, UserError
from utils.files import paths_in, write_text
from utils.viewer.figure import Figure

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldScore:
    """How the best weights of one fold scored on the images that it held out."""

    number: int
    epoch: int
    """From 1."""
    table: ScoreTable
    strata: Mapping[str, str | None]
    """The stratum of each image by name, None if it is not known."""
    step: int | None = None
    """Its optimizer step, if the training is counted in steps."""


def write_crossval(run: Path) -> dict[str, Any]:
    """Join the scores of a run's folds, print them and write them as JSON and as a page; return the numbers.

    Raises `UserError` if there is no fold, a file is damaged, or the folds do not belong together.
    """
    configs = fold_configs(run)
    refuse_other_settings(run, configs)
    task = next(iter(configs.values())).chosen_task
    scores = [read_fold(run, number, task) for number in configs if fold_folder(run, number).validation.exists()]
    if not scores:
        raise UserError(f"{run}: no fold has been scored yet. Let train.py finish an epoch that is scored.")
    refuse_shared_images(run, scores)
    numbers = {"run": run.name, "unscored_folds": sorted(configs.keys() - {score.number for score in scores})}
    numbers |= summary(task, scores)
    print_crossval(task, numbers)
    write_text(run / "crossval.json", json.dumps(numbers, indent=2) + "\n")
    write_text(run / "crossval.html", page_of(task, numbers, figures_of(run, task, numbers)))
    log.info("%s: all numbers. Open %s", run / "crossval.json", run / "crossval.html")
    return numbers


def figures_of(run: Path, task: Task, numbers: Mapping[str, Any]) -> list[Figure]:
    """Return the figures of held-out images that the folds' reports have drawn, the worst first."""
    images = numbers["images"]
    found = {}
    for row in numbers["folds"]:
        groups = read_figures(fold_folder(run, row["fold"]).pictures / FIGURES, task.classes)
        for figure in (figure for figures in groups.values() for figure in figures if figure.name in images):
            about = ", ".join(filter(None, (figure.caption, f"fold {row['fold']}")))
            found[figure.name] = replace(figure, caption=about)
    ranked = task.metric.worst_first({name: images[name][task.metric.name] for name in found})
    return [found[name] for name in ranked]


def summary(task: Task, scores: Sequence[FoldScore]) -> dict[str, Any]:
    """Return all numbers by name. A stratum without images is None, and so is a mean weighted with it.

    `weighted` counts strata as often as they occur in the test set (`test_shares`). `sd` is the standard deviation of
    the folds' own means, None if there is one fold alone.
    """
    strata = {image: stratum for score in scores for image, stratum in score.strata.items()}
    table = np.concatenate([score.table.table_NC for score in scores])
    names = [image for score in scores for image in sorted(score.table.rows)]
    kinds = [strata[name] for name in names]
    folds = [fold_row(task, score) for score in scores]
    return {
        "folds": folds,
        "test_shares": dict(task.test_shares),
        **means_of(task, table, kinds),
        "images_per_stratum": {stratum: kinds.count(stratum) for stratum in task.stratum_names},
        "sd": {name: deviation_of([fold[name] for fold in folds]) for name in means_of(task, table, kinds)},
        "per_class": {
            name: class_row(task, table[:, index], names, kinds, scores) for index, name in enumerate(task.classes)
        },
        "images": {
            image: {"fold": score.number, "stratum": strata[image], task.metric.name: mean}
            for score in scores
            for image, mean in score.table.per_image.items()
        },
    }


def means_of(task: Task, scores: np.ndarray[Any, Any], kinds: Sequence[str | None]) -> dict[str, float | None]:
    """Return the mean of all rows (images) of `scores`, of each stratum, and weighted as in the test set."""
    means: dict[str, float | None] = {task.metric.mean_name: float(scores.mean())}
    for stratum in task.stratum_names:
        rows = scores[[kind == stratum for kind in kinds]]
        means[stratum] = float(rows.mean()) if rows.size else None
    if task.test_shares:
        means["weighted"] = weighted_mean({stratum: means[stratum] for stratum in task.stratum_names}, task.test_shares)
    return means


def weighted_mean(means: Mapping[str, float | None], shares: Mapping[str, float]) -> float | None:
    """Compute the mean of the strata, weighted with `shares`, which add up to 1; None if a stratum has no mean."""
    known = [(shares[stratum], mean) for stratum, mean in means.items() if mean is not None]
    return sum(share * mean for share, mean in known) if len(known) == len(shares) else None


def fold_row(task: Task, score: FoldScore) -> dict[str, Any]:
    kinds = [score.strata[image] for image in sorted(score.table.rows)]
    return {
        "fold": score.number,
        "epoch": score.epoch,
        **({} if score.step is None else {"step": score.step}),
        "images": len(kinds),
        "images_per_stratum": {stratum: kinds.count(stratum) for stratum in task.stratum_names},
        **means_of(task, score.table.table_NC, kinds),
    }


def class_row(
    task: Task,
    score_N: np.ndarray[Any, Any],
    names: Sequence[str],
    kinds: Sequence[str | None],
    scores: Sequence[FoldScore],
) -> dict[str, Any]:
    """Return the means of one class over all images, and the image with its worst score."""
    ends = np.cumsum([len(score.table.rows) for score in scores])[:-1]
    worst = int(score_N.argmin() if task.metric.higher_is_better else score_N.argmax())
    return {
        **means_of(task, score_N, kinds),
        "sd": deviation_of([float(part.mean()) for part in np.split(score_N, ends)]),
        "lowest": float(score_N[worst]),
        "lowest_in": names[worst],
    }


def deviation_of(values: Sequence[float | None]) -> float | None:
    """Return the sample standard deviation of the values that are not None; None for fewer than two."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def fold_folder(run: Path, number: int) -> RunFolder:
    return RunFolder(run / f"fold{number}")


def fold_configs(run: Path) -> dict[int, Config]:
    """Load the config of each fold in a run's folder, by number. Raises `UserError` if there is none."""
    found = sorted(
        int(match[1])
        for path in paths_in(run, "fold*")
        if (match := re.fullmatch(r"fold(\d+)", path.name)) and paths_in(path, "config.yaml")
    )
    if not found:
        way_out = "Its score is in report.html." if (run / "config.yaml").exists() else "Train with fold=all first."
        raise UserError(f"{run.absolute()}: no folds here. Name the folder that holds fold0/, fold1/, … {way_out}")
    for path in paths_in(run, "fold*"):
        if re.fullmatch(r"fold\d+", path.name) and path.is_dir() and int(path.name.removeprefix("fold")) not in found:
            log.warning("%s: holds no config.yaml, so this fold is left out", path)
    return {number: load_as(Config, fold_folder(run, number).config) for number in found}


def refuse_other_settings(run: Path, configs: Mapping[int, Config]) -> None:
    """Raise `UserError` if folds differ in a key other than `fold` and those that change no result."""
    (first, reference), *others = ((number, settings_in_common(config)) for number, config in configs.items())
    for number, found in others:
        changed = sorted(key for key in reference.keys() | found.keys() if reference.get(key) != found.get(key))
        if changed:
            keys = ", ".join(f"{key} ({reference.get(key)} and {found.get(key)})" for key in changed)
            raise UserError(
                f"{run}: fold{first} and fold{number} were trained with other settings: {keys}. Move away the folder "
                "that does not belong here."
            )


def settings_in_common(config: Config) -> dict[str, Any]:
    """Return the keys that all folds of one experiment must have in common, with their values."""
    return {key: value for key, value in flattened(as_dict(config)) if key != "fold" and not may_change(key)}


def refuse_shared_images(run: Path, scores: Sequence[FoldScore]) -> None:
    """Raise `UserError` if an image is held out in two folds, because its score would count twice."""
    fold_of: dict[str, int] = {}
    for score in scores:
        for image in score.table.rows:
            if image in fold_of:
                raise UserError(
                    f"{run}: {image} is held out in fold{fold_of[image]} and in fold{score.number}. Join folds that "
                    "hold out different images."
                )
            fold_of[image] = score.number


def read_fold(run: Path, number: int, task: Task) -> FoldScore:
    """Read a fold's `validation.json`. Raises `UserError` if it is damaged or of another version."""
    path = fold_folder(run, number).validation
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        table, strata = ScoreTable(task.classes, task.metric), {}
        for image, row in found["per_image_and_class"].items():
            table.add(image, np.array([in_range(row[name]) for name in task.classes]))
            strata[image] = check_stratum(found["strata"][image], (*task.stratum_names, None))
        step = int(found["step"]) if "step" in found else None
        return FoldScore(number, int(found["epoch"]), refuse_empty(table), strata, step)
    except DAMAGED as error:
        raise UserError(
            f"{path}: is damaged, or of an older version ({type(error).__name__}: {error}). Train this fold "
            f"anew: 'fold=[{number}]' run.if_exists=replace"
        ) from error


def in_range(score: Any) -> float:
    """Return a score. Raises `ValueError` for what is none: scores of all metrics lie in 0..1."""
    if isinstance(score, bool) or not math.isfinite(score) or not 0 <= score <= 1:
        raise ValueError(f"{score} is no score")
    return float(score)


def check_stratum(stratum: Any, strata: Sequence[str | None]) -> str | None:
    if stratum not in strata:
        raise ValueError(f"{stratum} is no stratum")
    return None if stratum is None else str(stratum)


def refuse_empty(table: ScoreTable) -> ScoreTable:
    if not table.rows:
        raise ValueError("no image")
    return table
