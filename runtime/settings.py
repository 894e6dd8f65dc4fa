"""What of an experiment a prediction follows from, and the rules for settings that are given to a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from configs.blocks.images import Transform
from configs.blocks.prediction import Predict
from data.masks.binarize import Threshold
from data.refine import Refine
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


def with_colours(task: Task, predict: Predict) -> Task:
    """Return a task that writes the objects' own colours, if so configured. Raises `UserError` if it writes none."""
    opened, wanted = task.output.open_with_own_colours, predict.own_colours
    if wanted and opened is None:
        raise UserError(f"predict.own_colours: task '{task.name}' writes no colours. Leave the key out.")
    if opened is None or not (predict.refine if wanted is None else wanted):
        return task
    return replace(task, output=replace(task.output, open=opened))


def refinements(predict: Predict, task: Task) -> tuple[Refine, ...]:
    """Build the refinements of masks that are written. Raises `UserError` for some if the task's masks are hard."""
    if predict.refine and not task.encoding.soft:
        raise UserError(
            f"predict.refine: is for soft masks, but those of task '{task.name}' are hard. Leave the key out."
        )
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
