"""Draw the picture of README.md: a typical hand of each kind of wrist, as image, prediction and errors.

python -m docs.images.picture --run runs/demo
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from data.masks.packed import dice
from data.masks.rle import encode
from data.task import Task
from trainer.drawing.figures import Case
from trainer.drawing.overlays import draw_errors, draw_masks, shrink_both
from trainer.records.folder import RunFolder
from trainer.trained import load_trained
from utils.arrays import Bytes, Colour, Packed
from utils.files import replacing
from utils.pictures import encode_jpeg
from utils.program import run_program

SIDE_PX = 480
GAP_PX = 6


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a typical hand of each kind, as the network sees it.")
    parser.add_argument("--run", type=Path, required=True, help="a run's folder; its data.root holds a labelled test/")
    parser.add_argument("--output", type=Path, default=Path("docs/images/hands.jpg"), help="the picture to write")
    arguments = parser.parse_args()
    with replacing(arguments.output) as file:
        file.write(encode_jpeg(picture(arguments.run), quality=85))


def picture(run: Path) -> Bytes:
    """A row for each kind of image that the task tells apart."""
    rows = [row(case, colours) for case, colours in typical_cases(run)]
    return np.vstack([part for each in rows for part in (each, gap(GAP_PX, each.shape[1]))][:-1])


def row(case: Case, colours: Sequence[Colour]) -> Bytes:
    """Return one panel: the image, the prediction, and what differs from the truth."""
    image, _ = shrink_both(case.image, case.truth, SIDE_PX)
    panels = [
        np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8),
        draw_masks(case.image, case.predicted, colours, side_px=SIDE_PX),
        draw_errors(case.image, case.truth, case.predicted, side_px=SIDE_PX),
    ]
    return np.hstack([part for panel in panels for part in (panel, gap(panel.shape[0], GAP_PX))][:-1])


def typical_cases(run: Path) -> Iterator[tuple[Case, Sequence[Colour]]]:
    """The test image of median Dice in each stratum, with the colours of its classes."""
    trained = load_trained(RunFolder(run).best_weights, torch.device("cpu"))
    task, classes = trained.task, len(trained.task.classes)
    samples = task.layout.find_samples(Path(trained.config.data.root) / "test", labelled=True)
    scored: dict[str | None, list[tuple[float, Case]]] = {}
    for sample, predicted in trained.predictor.masks(samples):
        image, truth = task.read(sample)
        score = float(dice(predicted, truth, classes).mean())
        scored.setdefault(stratum_of(task, truth), []).append((score, Case(sample.name, image, truth, predicted)))
    for stratum in task.stratum_names or (None,):
        ranked = sorted(scored.get(stratum, []), key=lambda pair: pair[0])
        if ranked:
            yield ranked[len(ranked) // 2][1], task.class_colours


def stratum_of(task: Task, truth: Packed) -> str | None:
    """The kind of an image, from its true masks."""
    return task.stratum_of(encode(truth, len(task.classes)), (truth.shape[0], truth.shape[1]))


def gap(height: int, width: int) -> Bytes:
    """White space between panels."""
    return np.full((height, width, 3), 255, np.uint8)


if __name__ == "__main__":
    run_program(main)
