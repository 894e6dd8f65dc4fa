"""The tables of components, as functions for the schema. Each table is imported only when its function is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from utils.config.component import Table

if TYPE_CHECKING:
    from data.polygons.classes import ClassEntry
    from data.task import Pictures, Task


def models() -> Table:
    """Return the models by name."""
    from models import MODELS

    return MODELS


def losses() -> Table:
    """Return the losses by name."""
    from loss import LOSSES

    return LOSSES


def optimizers() -> Table:
    """Return the optimizers by name."""
    from scheduler import OPTIMIZERS

    return OPTIMIZERS


def schedulers() -> Table:
    """Return the schedules by name."""
    from scheduler import SCHEDULERS

    return SCHEDULERS


def transforms() -> Table:
    """Return the transforms by name."""
    from transform import TRANSFORMS

    return TRANSFORMS


def intensity_transforms() -> Table:
    """Return by name the transforms that change pixel values and move no pixel."""
    from transform import INTENSITY

    return INTENSITY


def postprocesses() -> Table:
    """Return the corrections of finished masks by name."""
    from data.masks.postprocess import POSTPROCESSES

    return POSTPROCESSES


def refinements() -> Table:
    """Return the refinements of soft masks by name."""
    from data.refine import REFINEMENTS

    return REFINEMENTS


def refine_presets() -> Mapping[str, Any]:
    """Return the lists of refinements that have a name."""
    from data.refine import PRESETS

    return PRESETS


def pictures() -> Table:
    """Return by name the finished pictures that the tasks write."""
    return {name: build for output in _outputs_with_pictures() for name, build in output.kinds.items()}


def picture_formats() -> Table:
    """Return by name the formats of their files."""
    return {name: build for output in _outputs_with_pictures() for name, build in output.formats.items()}


def _outputs_with_pictures() -> list[Pictures]:
    from data.tasks import TASKS

    return [task.output.pictures for task in TASKS.values() if task.output.pictures is not None]


def tasks() -> Mapping[str, Any]:
    """Return the tasks by name."""
    from data.tasks import TASKS

    return TASKS


def task(name: str, classes: tuple[ClassEntry, ...]) -> Task:
    """Return the task of this name with these classes."""
    from data.tasks import task_named

    return task_named(name, classes)


def fault_of_classes(name: str, classes: tuple[ClassEntry, ...]) -> str | None:
    """Return why a task cannot have these classes; None if it can."""
    from data.tasks import fault_of_classes

    return fault_of_classes(name, classes)


def trackers() -> Table:
    """Return the trackers by name."""
    from services.trackers import TRACKERS

    return TRACKERS


REGISTRIES: Mapping[str, Callable[[], Table]] = {
    "model": models,
    "loss": losses,
    "optimizer": optimizers,
    "scheduler": schedulers,
    "transform": transforms,
    "cleanup": postprocesses,
    "refinement": refinements,
    "picture": pictures,
    "format": picture_formats,
    "tracker": trackers,
}
"""The kinds of components and their tables."""
