"""Score finished predictions. Scores are computed from runs; pixels are made only for pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.image import LARGEST_SIDE_PX
from data.masks.rle import Runs, decode, encode, end_of
from data.sample import Sample
from data.submission.reader import seem_of_another_size
from data.task import Predictions, Task
from trainer.drawing.figures import Case
from trainer.drawing.gallery import PAGE, write_gallery
from trainer.drawing.print_scores import print_scores
from trainer.evaluation.bootstrap import mean_interval
from trainer.evaluation.details import DetailTable, print_details
from trainer.evaluation.distances import DistanceTable, distances_of_runs, print_distances
from trainer.evaluation.ruler import Ruler
from trainer.evaluation.score_table import ScoreTable
from utils.arrays import Floats, Image, Size
from utils.config.suggestions import nearest
from utils.errors import UserError
from utils.files import paths_in, refuse_unwritable, write_text
from utils.parallel import map_ahead
from utils.progress import track
from utils.text import list_names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Truth:
    """True masks as runs, image by image. `sample`: the image files by name; empty if the truth is a finished output.

    `alpha_of`: the true alpha of an image, uint8[H, W]; None if the task's masks are hard.
    """

    names: Sequence[str]
    runs_of: Callable[[str], tuple[tuple[Runs, ...], Size]]
    sample: Mapping[str, Sample]
    alpha_of: Callable[[str], Image] | None = None

    @property
    def groups(self) -> dict[str, str]:
        """The group of each image whose file is known."""
        return {name: sample.group for name, sample in self.sample.items()}


@dataclass(frozen=True)
class Scores:
    """Scores of each image and class, and the stratum of each image that has one."""

    table: ScoreTable
    stratum: Mapping[str, str | None]
    strata: Sequence[str]
    groups: Mapping[str, str] = field(default_factory=dict)
    """Of images that resemble each other; an image without one stands alone."""

    def summary(self) -> dict[str, Any]:
        """All numbers by name; a stratum without images is null."""
        return {
            **self.table.summary(),
            "confidence": self.confidence(),
            **{stratum: self.table.mean_of(self.images_in(stratum)) for stratum in self.strata},
            "images_per_stratum": {stratum: len(self.images_in(stratum)) for stratum in self.strata},
            "groups": {image: self.groups[image] for image in self.table.per_image if image in self.groups},
            "per_image_and_class": self.table.per_image_and_class,
        }

    def confidence(self) -> dict[str, Any]:
        """Return the limits of the mean score, by drawing groups of images again, and how many groups there are."""
        of_images = self.table.per_image
        groups = [self.groups.get(image, image) for image in of_images]
        its = mean_interval(list(of_images.values()), groups=groups)
        return {"low": its.low, "high": its.high, "groups": len(set(groups))}

    def images_in(self, stratum: str) -> list[str]:
        return [image for image, found in self.stratum.items() if found == stratum]


def score_files(
    task: Task,
    prediction: Path,
    truth: Path,
    *,
    size_hw: Size | None,
    json_file: Path | None,
    gallery: Path | None,
    details: bool = False,
    ruler: Ruler | None = None,
    images: Path | None = None,
) -> Scores:
    """Score a prediction against a split folder or another one, show the tables, write what was asked for.

    `size_hw` is the frame of the runs if the truth is a CSV, which does not say it; None: the task's typical one.
    With `details` the task's further numbers are computed too, with a `ruler` the distances between outlines. `images`
    are those of the truth, if this is a folder of masks or a CSV: pictures show them. Raises `UserError` if files are
    malformed or cannot be written, or an image of the truth is not predicted.
    """
    refuse_unwritable([path for path in (json_file, gallery / PAGE if gallery else None) if path], [prediction])
    if details and task.output.alpha_of is None:
        raise UserError(f"--details: the masks of task '{task.name}' are hard, so there are none. Leave it out.")
    predictions = task.output.read(prediction)
    against = truth_of(task, truth, size_hw) if images is None else truth_with_images(task, truth, size_hw, images)
    refuse_missing(predictions, against, truth)
    scores = score(task, predictions, against)
    summary = scores.summary()
    print_scores(task, summary)
    if details:
        table = describe(task, prediction, against)
        print_details(table)
        summary |= table.summary()
    if ruler is not None:
        distances = measure(task, predictions, against, ruler)
        print_distances(distances)
        summary |= distances.summary()
    if json_file is not None:
        write_text(json_file, json.dumps(summary, indent=2) + "\n")
        log.info("%s: all numbers", json_file)
    if gallery is not None:
        about = f"{prediction}, scored with {truth}"
        drawn = write_gallery(
            gallery, task, scores.table, lambda name: case_of(task, predictions, against, name), about
        )
        log.info("%d pictures of the worst cases: open %s", drawn, gallery / PAGE)
    return scores


def describe(task: Task, prediction: Path, truth: Truth) -> DetailTable:
    """Compute the task's details of all images of the truth. Raises `UserError` if the truth has no alphas."""
    predicted_of, true_of = task.output.alpha_of, truth.alpha_of
    assert predicted_of is not None
    if true_of is None:
        raise UserError("--details: the truth is hard masks. Name the folder of the true alphas, or leave it out.")
    table = DetailTable(task.details)

    def alphas(name: str) -> tuple[str, Image, Image]:
        predicted, true = predicted_of(prediction, name), true_of(name)
        return name, predicted, true

    for name, predicted, true in track(map_ahead(alphas, truth.names), "Describing", len(truth.names)):
        table.add(name, predicted, true)
    return table


def score(task: Task, predictions: Predictions, truth: Truth) -> Scores:
    """Score all images of the truth."""
    table, stratum, ends = ScoreTable(task.classes, task.metric), {}, []
    score_of = task.metrics[0].of_runs

    def score_image(name: str) -> tuple[str, list[float], str | None, tuple[int, int]]:
        true, size_hw = truth.runs_of(name)
        predicted = predictions.of(name, size_hw)
        row = [score_of(a, b) for a, b in zip(predicted, true, strict=True)]
        return name, row, task.stratum_of(true, size_hw), (max(map(end_of, predicted)), max(map(end_of, true)))

    for name, row, found, end in track(map_ahead(score_image, truth.names), "Scoring", len(truth.names)):
        table.add(name, np.array(row))
        stratum[name] = found
        ends.append(end)
    warn_of_another_size(predictions, ends)
    return Scores(table, stratum, task.stratum_names, truth.groups)


def measure(task: Task, predictions: Predictions, truth: Truth, ruler: Ruler) -> DistanceTable:
    """Measure the distances between predicted and true outlines in all images of the truth."""
    table = DistanceTable(task.classes, ruler, truth.groups)

    def measured(name: str) -> tuple[str, Floats]:
        true, size_hw = truth.runs_of(name)
        return name, distances_of_runs(predictions.of(name, size_hw), true, size_hw, ruler)

    for name, rows in track(map_ahead(measured, truth.names), "Measuring", len(truth.names)):
        table.rows[name] = rows
    return table


def warn_of_another_size(predictions: Predictions, ends: Sequence[tuple[int, int]]) -> None:
    """Warn if in every image the predicted masks end far above the true ones: they may be of a smaller image size."""
    if seem_of_another_size(*zip(*ends, strict=True)):
        log.warning(
            "%s: in every image the masks end far above the true ones. Were they written at another size than the "
            "image's own?",
            predictions.path,
        )


def truth_of(task: Task, path: Path, size_hw: Size | None) -> Truth:
    """Read true masks from a split folder, from a folder of finished alphas, or from a CSV in the frame `size_hw`."""
    if not path.exists():
        raise UserError(
            f"--truth {path.absolute()}: no such file or folder. Name a split folder ({task.layout.labels}) or a "
            "prediction."
        )
    if (alpha_of := task.output.alpha_of) is not None and paths_in(path, "*.png"):
        return truth_of_alphas(task, path, partial(alpha_of, path))
    if not path.is_dir():
        rows = task.output.read(path)
        frame_hw = frame_of(task, rows, size_hw)
        return Truth(rows.names, lambda name: (rows.of(name, frame_hw), frame_hw), {})
    return truth_of_samples(task, task.layout.find_samples(path, labelled=True))


def truth_with_images(task: Task, path: Path, size_hw: Size | None, images: Path) -> Truth:
    """Read true masks, and say which image each is of. Raises `UserError` if one has no image."""
    if task.layout.find_pairs is not None:
        return truth_of_samples(task, task.layout.find_pairs(images, path))
    truth, samples = truth_of(task, path, size_hw), {sample.name: sample for sample in task.layout.find_images(images)}
    missing = [name for name in truth.names if name not in samples]
    if missing:
        raise UserError(f"--images {images}: {list_names(missing)} of {path} are not in it. Name the folder with all.")
    return replace(truth, sample=samples)


def truth_of_samples(task: Task, found: Sequence[Sample]) -> Truth:
    """Take the labels of samples as the truth."""
    samples = {sample.name: sample for sample in found}

    def runs_of(name: str) -> tuple[tuple[Runs, ...], Size]:
        native_hw = task.image_size(samples[name].image)
        packed = task.encoding.harden(task.read_mask(samples[name], native_hw))
        return tuple(encode(packed, len(task.classes))), native_hw

    def true_alpha_of(name: str) -> Image:
        return task.read_mask(samples[name], task.image_size(samples[name].image))[..., 0]

    return Truth(list(samples), runs_of, samples, true_alpha_of if task.encoding.soft else None)


def truth_of_alphas(task: Task, path: Path, alpha_of: Callable[[str], Image]) -> Truth:
    """Take a folder of finished alphas as the truth; each says its image's size itself."""
    rows = task.output.read(path)

    def runs_of(name: str) -> tuple[tuple[Runs, ...], Size]:
        height, width = alpha_of(name).shape
        return rows.of(name, (height, width)), (height, width)

    return Truth(rows.names, runs_of, {}, alpha_of)


def frame_of(task: Task, rows: Predictions, size_hw: Size | None) -> Size:
    """Return the size of a CSV's images: `size_hw`, or the task's typical one if the runs end near its last pixel."""
    height, width = size_hw or task.typical.size_hw
    if not (0 < height <= LARGEST_SIDE_PX and 0 < width <= LARGEST_SIDE_PX):
        raise UserError(f"--size-px {height}: expected 1 to {LARGEST_SIDE_PX}, the side of the images in pixels.")
    farthest = max(end_of(runs) for runs_of_image in rows.runs.values() for runs in runs_of_image)
    if farthest > height * width or (size_hw is None and 2 * farthest < height * width):
        raise UserError(
            f"{rows.path}: its runs end at pixel {farthest} of an image, so the images are not {height} x {width} px. "
            "Give their side with --size-px."
        )
    return height, width


def refuse_missing(predictions: Predictions, truth: Truth, truth_path: Path) -> None:
    """Raise `UserError` if an image of the truth is not predicted; images without truth are left out, with a line."""
    missing = [name for name in truth.names if name not in predictions.runs]
    if missing:
        raise UserError(
            f"{predictions.path}: {len(missing)} of the {len(truth.names)} images of {truth_path} are not in it, "
            f"{list_names(missing)}. {way_out_of_missing(missing, predictions)}"
        )
    if surplus := len(predictions.runs) - len(truth.names):
        log.info("%s: %d images have no truth in %s and are not scored", predictions.path, surplus, truth_path)


def way_out_of_missing(missing: Sequence[str], predictions: Predictions) -> str:
    """Return the way out: names are written in another way, or other images were predicted."""
    near = nearest(missing[0], predictions.runs)
    similar = near and Path(near[0]).stem == Path(missing[0]).stem
    return (
        f"It calls the first '{near[0]}'."
        if similar
        else ("Predict the images that the truth is about, or name the truth of the predicted images alone.")
    )


def case_of(task: Task, predictions: Predictions, truth: Truth, name: str) -> Case:
    """Return one image with its true and predicted masks as pixels; a black image if its file is not known."""
    true, size_hw = truth.runs_of(name)
    sample = truth.sample.get(name)
    image = task.read_image(sample.image) if sample else np.zeros(size_hw, np.uint8)
    about = task.caption(sample, true, size_hw)
    if image.shape[:2] != size_hw:
        raise UserError(
            f"--images: {name} is {image.shape[1]} x {image.shape[0]} px, its truth {size_hw[1]} x {size_hw[0]} px. "
            "Name the images that the truth is of."
        )
    alphas = None
    if task.output.alpha_of is not None and truth.alpha_of is not None:
        alphas = truth.alpha_of(name), task.output.alpha_of(predictions.path, name)
    return Case(name, image, decode(true, size_hw), decode(predictions.of(name, size_hw), size_hw), about, alphas)
