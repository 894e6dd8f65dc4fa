"""Images to predict that cannot be read: they refuse the whole folder, or are left out and named at the end.

A task chooses which: `data.task.Output.each_alone`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.check.refuse import find_broken, refuse_broken
from data.sample import Sample
from data.task import Task
from utils.errors import UserError
from utils.text import pluralize

log = logging.getLogger(__name__)

NAMED = 50
LEAVE_OUT = "move them out of the folder."


@dataclass(frozen=True)
class Checked:
    """Images to predict, and what is wrong with the others."""

    samples: list[Sample]
    faults: tuple[UserError, ...] = ()


def check_images(task: Task, samples: Sequence[Sample]) -> Checked:
    """Check every image. Raises `UserError` if one that is needed cannot be read, or none can."""
    if not task.output.each_alone or len(samples) == 1:
        refuse_broken(samples, task.check, leave_out=LEAVE_OUT)
        return Checked(list(samples))
    broken = find_broken(samples, task.check)
    if len(broken) == len(samples):
        refuse_broken(samples, task.check)
    if broken:
        there = "%s of %d cannot be read and will be named at the end; the others are predicted"
        log.warning(there, pluralize(len(broken), "image"), len(samples))
    return Checked([sample for sample in samples if sample.key not in broken], tuple(broken.values()))


def name_left_out(output: Path, faults: Sequence[UserError], done: int) -> None:
    """Raise `UserError` that names the images without a prediction, if there are any; `done` others have one."""
    if not faults:
        return
    lines = [f"  {fault}" for fault in faults[:NAMED]]
    if len(faults) > NAMED:
        lines.append(f"  … and {len(faults) - NAMED} more")
    have = f"{len(faults)} images have" if len(faults) > 1 else "1 image has"
    raise UserError(f"{output}: {have} no prediction; {done} others are done.\n" + "\n".join(lines))
