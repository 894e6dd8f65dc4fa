"""Tune thresholds per class on the images that each run held out, and write a file for `--threshold`.

Each run predicts with its own config (windows, test-time augmentation); masks are not postprocessed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from data.sample import Sample
from data.task import Task
from runtime.threshold_file import save_thresholds
from trainer.prediction.predictor import Prediction
from trainer.records.weights_files import weights_of_runs
from trainer.split import find_split
from trainer.thresholds.choice import Curves, Tuned, tune
from trainer.thresholds.curves import dice_curves
from trainer.torch_errors import torch_errors_explained
from trainer.trained import Trained, load_trained
from utils.arrays import Floats
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.parallel import map_ahead
from utils.progress import track
from utils.table import print_table

log = logging.getLogger(__name__)

# Shapes: N images, C classes, T thresholds.


@dataclass(frozen=True)
class HeldOut:
    """A run's weights file and the images that it held out."""

    weights: Path
    samples: Sequence[Sample]


def tune_runs(runs: Sequence[Path], output: Path) -> Tuned:
    """Tune on the held-out images of `runs`, print and write the result. Raises `UserError` if the runs do not fit."""
    refuse_unwritable([output])
    weights = weights_of_runs(runs)
    device = Accelerator(mixed_precision="no").device
    held_out, task = find_held_out(weights)
    curves = curves_of(held_out, device)
    tuned = tune(curves)
    print_thresholds(task, tuned, len(curves.groups))
    save_thresholds(output, by_class(task, tuned.thresholds_C), summary(task, tuned, curves, weights))
    log.info("%s: use it with --threshold %s", output, output)
    return tuned


def find_held_out(weights: Sequence[Path]) -> tuple[list[HeldOut], Task]:
    """Find the held-out images of each run and the common task. Raises `UserError` if the runs do not fit."""
    held_out, tasks, classes = [], {}, []
    for path in weights:
        trained = load_trained(path, torch.device("cpu"))
        held_out.append(HeldOut(path, held_out_of(trained, path)))
        tasks[trained.task.name] = trained.task
        classes.append(trained.task.classes)
    if len(tasks) > 1:
        raise UserError(f"--runs: these runs have different tasks ({', '.join(tasks)}). Tune each task by itself.")
    if len(set(classes)) > 1:
        raise UserError("--runs: these runs have different classes (data.classes). Tune each list by itself.")
    task = tasks.popitem()[1]
    if task.encoding.soft:
        raise UserError(f"--runs: the masks of task '{task.name}' are soft, so there is no threshold to tune.")
    if len({sample.group for held in held_out for sample in held.samples}) < 2:
        raise UserError(
            f"--runs: images of one {task.layout.group} are held out in all, so nothing can be tried on another's."
        )
    return held_out, task


def held_out_of(trained: Trained, path: Path) -> Sequence[Sample]:
    """Find the images that a run held out. Raises `UserError` if it was trained on one of them."""
    log.info("reading images from %s, which %s names", Path(trained.config.data.root).absolute(), path)
    split = find_split(trained.config, check=False)
    learnt = {sample.key for sample in split.train}
    if any(sample.key in learnt for sample in split.valid):
        raise UserError(f"{path}: this run has learnt from the images that it was scored on. Leave it out.")
    return split.valid


def curves_of(held_out: Sequence[HeldOut], device: torch.device) -> Curves:
    """Compute the Dice of all held-out images at every threshold; one network and few images are in memory."""
    rows = [
        (curve_CT, sample.group, run)
        for run, held in enumerate(held_out)
        for sample, curve_CT in track(predict_curves(held, device), f"Run {run + 1}/{len(held_out)}", len(held.samples))
    ]
    return Curves(np.stack([curve for curve, _, _ in rows]), [who for _, who, _ in rows], [run for _, _, run in rows])


def predict_curves(held: HeldOut, device: torch.device) -> Iterator[tuple[Sample, Floats]]:
    """Yield each held-out image with its curves [C, T]; pixels are counted while the network computes."""
    trained = load_trained(held.weights, device)
    with torch_errors_explained(trained.config, device):
        predictions = trained.predictor.accelerated().predict(held.samples, trained.task.read)
        yield from map_ahead(curves_of_image, predictions, ahead=3)


def curves_of_image(prediction: Prediction) -> tuple[Sample, Floats]:
    """Return an image's sample and its Dice at every threshold, float32[C, T]."""
    loaded = prediction.loaded
    assert loaded.truth_HWK is not None
    return loaded.sample, dice_curves(prediction.logits_Chw, loaded.truth_HWK)


def print_thresholds(task: Task, tuned: Tuned, images: int) -> None:
    """Print the threshold and the Dice of each class, then the mean Dice before and after."""
    numbers = zip(task.classes, tuned.thresholds_C, tuned.at_half_C, tuned.estimate_C, strict=True)
    rows = []
    for name, threshold, half, estimate in numbers:
        gain = f"{estimate - half:+.4f}" if estimate != half else ""
        rows.append((name, f"{threshold:.2f}", f"{half:.4f}", f"{estimate:.4f}", gain))
    print_table(
        "Threshold per class",
        ("class", "threshold", "Dice at 0.5", "tuned, unseen", "gain"),
        rows,
        text_columns=("class",),
        lines=closing_lines(tuned, images),
    )


def closing_lines(tuned: Tuned, images: int) -> list[str]:
    """Return lines with the mean Dice before and after, and how many classes changed."""
    moved = int((tuned.thresholds_C != 0.5).sum())
    lines = [
        f"mean Dice {tuned.at_half_C.mean():.4f} at 0.5, {tuned.estimate_C.mean():.4f} tuned ({tuned.gain:+.4f}), "
        f"over {images} images; tuned is estimated on images that the choice has not seen ({tuned.folds} folds)"
    ]
    if not moved:
        lines.append("No class gains on unseen images, so all keep 0.5.")
    else:
        lines.append(f"{moved} of {len(tuned.thresholds_C)} classes leave 0.5.")
    unused = int(((tuned.thresholds_C == 0.5) & (tuned.estimate_C != tuned.at_half_C)).sum())
    if unused:
        lines.append(
            f"The gain of {unused} {'class' if unused == 1 else 'classes'} is not used, because it is negative or "
            "uncertain: 0.5 is kept, and the Dice at 0.5."
        )
    return lines


def summary(task: Task, tuned: Tuned, curves: Curves, weights: Sequence[Path]) -> dict[str, Any]:
    """Return what the file contains besides the thresholds."""
    return {
        "mean_dice": {"at_0.5": float(tuned.at_half_C.mean()), "tuned_unseen": float(tuned.estimate_C.mean())},
        "per_class": {"at_0.5": by_class(task, tuned.at_half_C), "tuned_unseen": by_class(task, tuned.estimate_C)},
        "images": len(curves.groups),
        "folds": tuned.folds,
        "runs": [str(path) for path in weights],
    }


def by_class(task: Task, values_C: Floats) -> Mapping[str, float]:
    return dict(zip(task.classes, map(float, values_C), strict=True))
