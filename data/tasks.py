"""The tasks by name. A new one is a folder in `data/` that defines a `Task`, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from data.cutout.mask_images import foreground_masks
from data.cutout.task import foreground
from data.hand_bone.task import hand_bone
from data.polygons.task import polygons
from data.task import Task
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError

if TYPE_CHECKING:
    from data.polygons.classes import ClassEntry

TASKS: dict[str, Task] = {
    "hand_bone": hand_bone,
    "foreground": foreground,
    "foreground_masks": foreground_masks,
    "polygons": polygons,
}


def task_named(name: str, classes: tuple[ClassEntry, ...] = ()) -> Task:
    """Return the task of this name with the classes that a config lists, none if the task has classes of its own.

    Raises `UserError` with the nearest name if there is none, and for classes that are missing or not wanted.
    """
    if name not in TASKS:
        raise UserError(f"'{name}' is not a task. {did_you_mean_of_all(name, TASKS)}")
    fault = fault_of_classes(name, classes)
    if fault:
        raise UserError(fault)
    task = TASKS[name]
    return task if task.of_classes is None else _with_classes(task.of_classes, classes)


def fault_of_classes(name: str, classes: tuple[ClassEntry, ...]) -> str | None:
    """Return why the task of this name cannot have these classes; None if it can."""
    task = TASKS[name]
    if task.of_classes is not None and not classes:
        return f"task '{name}' has no classes of its own. List them in YAML: data.classes, or --classes FILE."
    if task.of_classes is None and classes:
        takers = " or ".join(other.name for other in TASKS.values() if other.of_classes is not None)
        return (
            f"task '{name}' has its own classes ({len(task.classes)}), and none can be listed for it. Write "
            f"task: {takers} for classes of your own."
        )
    return None


@lru_cache(maxsize=8)
def _with_classes(of_classes: Callable[[tuple[ClassEntry, ...]], Task], classes: tuple[ClassEntry, ...]) -> Task:
    return of_classes(classes)
