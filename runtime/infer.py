"""Predict images with a network in an ONNX file: what `inference.py --run FILE.onnx` does, without torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.check.looks import usual_from
from runtime.checked import check_images, name_left_out
from runtime.image_watch import ImageWatch
from runtime.outputs import refuse_output
from runtime.predictor import OnnxPredictor, open_predictor
from runtime.settings import read_threshold
from runtime.writing import write_masks
from utils.errors import UserError
from utils.text import pluralize

log = logging.getLogger(__name__)


def infer_onnx(
    model: Path,
    images: Path | None,
    output: Path | None,
    *,
    threshold: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Predict every image of a folder, or one image; returns the file or folder written.

    `threshold` is a number or a file of thresholds per class, and `overrides` (`key=value`) change how it predicts.
    Raises `UserError` for anything missing or wrong.
    """
    if images is None:
        raise UserError(f"--images: {model} is of no run, so it names none. Name a folder of images, or one image.")
    if output is None:
        raise UserError(f"--output: {model} is a file, so there is no run folder to write to. Name what to write.")
    predictor = open_predictor(model, overrides, workers=1 if images.is_file() else None)
    task = predictor.task
    if threshold is not None:
        chosen = read_threshold(threshold, task)
        predictor = replace(predictor, decoder=replace(predictor.decoder, threshold=chosen))
    checked = check_images(task, task.layout.find_images(images))
    samples = checked.samples
    refuse_output(task.output, output, samples, images)
    predictor, watch = with_watch(predictor)
    origin, skip_empty = predictor.origin, predictor.settings.predict.skip_empty
    faults = write_masks(task, predictor.masks, samples, output, origin=origin, at_once=1, skip_empty=skip_empty)
    watch.name_unusual()
    done = len(samples) - len(faults)
    log.info("%s: %s with %s", output, pluralize(done, "image"), model)
    name_left_out(output, [*checked.faults, *faults], done)
    return output


def with_watch(predictor: OnnxPredictor) -> tuple[OnnxPredictor, ImageWatch]:
    """Return the predictor with a watch over the images that it reads, if the images of its task look alike."""
    watch = ImageWatch(predictor.read_image, usual_from(predictor.metadata.images))
    if not predictor.task.checks.one_look:
        return predictor, watch
    return replace(predictor, read_image=watch.read), watch
