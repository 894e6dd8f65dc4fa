"""The tasks by name. A new one is a folder in `data/` that defines a `Task`, and a line here."""

from __future__ import annotations

from data.cutout.mask_images import foreground_masks
from data.cutout.task import foreground
from data.hand_bone.task import hand_bone
from data.task import Task
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError

TASKS: dict[str, Task] = {
    "hand_bone": hand_bone,
    "foreground": foreground,
    "foreground_masks": foreground_masks,
}


def task_named(name: str) -> Task:
    """Return the task of this name. Raises `UserError` with the nearest name if there is none."""
    if name not in TASKS:
        raise UserError(f"'{name}' is not a task. {did_you_mean_of_all(name, TASKS)}")
    return TASKS[name]
