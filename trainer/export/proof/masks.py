"""Compare the masks that an ONNX file predicts at native size with those of torch, and both with the true ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from data.sample import Sample
from runtime.predictor import OnnxPredictor, open_predictor
from trainer.export.proof.images import ImageSet
from trainer.prediction.predictor import Prediction, Predictor
from trainer.trained import Trained
from utils.arrays import Image, StoredMask
from utils.progress import track

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskProof:
    """The task's metric of masks over the same images, in 0..1."""

    before: float
    """By torch, against the truth."""
    after: float
    """By the file, against the truth."""
    agreement: float
    """Of the file's masks against torch's."""
    levels: int
    """The largest difference of two alphas, 0..255; of hard masks 0 or 255."""
    share: float
    """The share of values that differ, of pixels or, if a byte holds several classes, of bits of pixels."""
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Of each image by name, the metric before and after."""


def prove_masks(trained: Trained, path: Path, images: ImageSet) -> MaskProof:
    """Predict labelled images with torch and with the file as they are written, and compare.

    Raises `UserError` if the file lies at a place that cannot be read.
    """
    by_file = open_predictor(path, workers=1)
    rows = {}
    for sample in track(images.samples, "Comparing masks"):
        rows[sample.name] = _compared(trained, by_file, sample)
    values = np.array(list(rows.values()), np.float64)
    before, after, agreement, _, share = values.mean(0)
    levels = int(values[:, 3].max())
    scores = {name: (row[0], row[1]) for name, row in rows.items()}
    return MaskProof(before, after, agreement, levels, share, scores)


def _compared(trained: Trained, by_file: OnnxPredictor, sample: Sample) -> tuple[float, ...]:
    """Return metric before and after, agreement, largest difference and share of differing values of one image."""
    task = trained.task
    image, truth = task.read(sample)
    ours, theirs = by_torch(trained.predictor, sample, image), by_file.mask(image)
    scores = [float(task.score(mask, true).mean()) for mask, true in ((ours, truth), (theirs, truth), (theirs, ours))]
    if task.encoding.soft:
        difference = np.abs(ours.astype(int) - theirs)
        return (*scores, int(difference.max()), float((difference > 0).mean()))
    differing = int(np.bitwise_count(ours ^ theirs).sum())
    return (*scores, 255 * bool(differing), differing / (ours.shape[0] * ours.shape[1] * len(task.classes)))


@torch.inference_mode()
def by_torch(predictor: Predictor, sample: Sample, image: Image) -> StoredMask:
    """Predict the mask of one image at native size with torch."""
    loaded = predictor.look(sample, image)
    return predictor.decode(Prediction(loaded, predictor.logits([loaded])[0]))
