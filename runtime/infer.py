"""Predict images with a network in an ONNX file: what `inference.py --run FILE.onnx` does, without torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.check.looks import usual_from
from runtime.checked import check_images, name_left_out
from runtime.image_watch import ImageWatch
from runtime.label_export import csv_of, label_export
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
    label_format: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Predict every image of a folder, or one image; returns the file or folder written.

    `threshold` is a number or a file of thresholds per class, and `overrides` (`key=value`) change how it predicts.
    With `label_format` labels for a labelling tool are written too. Raises `UserError` for anything missing or wrong.
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
    target = csv_of(output, label_format) or output
    export = None if label_format is None else label_export(task, label_format, output, target, images)
    refuse_output(task.output, target, samples, images)
    if export is not None:
        export.refuse(samples)
    predictor, watch = with_watch(predictor)
    origin, skip_empty = predictor.origin, predictor.settings.predict.skip_empty
    faults = write_masks(task, predictor.masks, samples, target, origin=origin, at_once=1, skip_empty=skip_empty)
    watch.name_unusual()
    done = len(samples) - len(faults)
    log.info("%s: %s with %s", target, pluralize(done, "image"), model)
    name_left_out(target, [*checked.faults, *faults], done)
    if export is not None:
        export.write(target)
    return target


def with_watch(predictor: OnnxPredictor) -> tuple[OnnxPredictor, ImageWatch]:
    """Return the predictor with a watch over the images that it reads, if the images of its task look alike."""
    watch = ImageWatch(predictor.read_image, usual_from(predictor.metadata.images))
    if not predictor.task.checks.one_look:
        return predictor, watch
    return replace(predictor, read_image=watch.read), watch
