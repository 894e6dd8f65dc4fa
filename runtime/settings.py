"""What of an experiment a prediction follows from, and the rules for settings that are given to a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from configs.blocks.images import Transform
from configs.blocks.prediction import Predict
from data.masks.binarize import Threshold
from data.refine import Refine, preset
from data.task import Task
from runtime.threshold_file import load_thresholds
from utils.config.section import Section
from utils.errors import UserError

CHANGEABLE = ("predict", "trainer.evaluate_batch_size", "trainer.precision", "transform.size_px")
"""Keys, and a block of them, that may be changed when a trained run predicts."""
ONNX_CHANGEABLE = ("predict", "transform.size_px")
"""The same of a network in an ONNX file."""


class Settings(Section):
    """The blocks of a config that a network in an ONNX file predicts by."""

    transform: Transform = Transform()
    predict: Predict = Predict()


def refuse_unchangeable(overrides: Sequence[str], changeable: Sequence[str] = CHANGEABLE) -> None:
    """Raise `UserError` for a setting that a trained network cannot be given anew."""
    for override in overrides:
        key, equals, _ = override.partition("=")
        if equals and not any(key.strip() == name or key.strip().startswith(f"{name}.") for name in changeable):
            raise UserError(
                f"{key.strip()}: cannot be changed in a trained run. What can: {', '.join(changeable[1:])}, and all "
                "keys of predict, such as predict.tta.hflip=true."
            )


def read_threshold(text: str, task: Task) -> Threshold:
    """Read the value of `--threshold`: a probability above 0 and below 1, or a file with one for each class.

    Raises `UserError` for anything else, and if the masks of the task are soft.
    """
    if task.encoding.soft:
        raise UserError(f"--threshold: the masks of task '{task.name}' are soft, so nothing is cut. Leave it out.")
    try:
        number = float(text)
    except ValueError:
        return load_thresholds(Path(text), task.classes)
    if not 0 < number < 1:
        raise UserError(f"--threshold: expected a number above 0 and below 1, or a file of thresholds; got {text}.")
    return number


def with_pictures(task: Task, predict: Predict) -> Task:
    """Return a task that writes pictures as configured. Raises `UserError` if it writes none, or they do not fit."""
    keys = {"picture": predict.picture, "format": predict.format, "own_colours": predict.own_colours}
    pictures = task.output.pictures
    if pictures is None:
        for key, value in keys.items():
            if value:
                raise UserError(f"predict.{key}: task '{task.name}' writes no pictures. Leave the key out.")
        return task
    kind, file_format = (None if spec is None else spec.build() for spec in (predict.picture, predict.format))
    output = pictures.configure(kind, file_format, gives_own_colours(predict, task))
    return replace(task, output=output, read_image=output.read_image or task.read_image)


def gives_own_colours(predict: Predict, task: Task) -> bool:
    """Whether soft edges get the object's own colours: as configured, else if masks are refined."""
    return bool(refinements(predict, task)) if predict.own_colours is None else predict.own_colours


def refinements(predict: Predict, task: Task) -> tuple[Refine, ...]:
    """Build the refinements of masks that are written: those of the task if none are configured.

    Raises `UserError` for some if the task's masks are hard.
    """
    if predict.refine and not task.encoding.soft:
        raise UserError(
            f"predict.refine: is for soft masks, but those of task '{task.name}' are hard. Leave the key out."
        )
    if predict.refine is None:
        return preset(task.refine)
    return tuple(spec.build() for spec in predict.refine)


def refuse_keys_of_hard_masks(predict: Predict, task: Task) -> None:
    """Raise `UserError` if a key for hard masks is set, but the masks of the task are soft."""
    if not task.encoding.soft:
        return
    for key in ("threshold", "postprocess"):
        if getattr(predict, key) != Predict.model_fields[key].default:
            raise UserError(
                f"predict.{key}: is for hard masks, but those of task '{task.name}' are soft. Leave the key out."
            )
