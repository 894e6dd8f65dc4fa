"""Note in how many classes something is found while masks are written, and name images that show few of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from data.encoding import BITS
from data.sample import Sample
from data.task import LeavingWriter, MaskWriter, Task
from utils.arrays import StoredMask
from utils.text import list_names, pluralize

log = logging.getLogger(__name__)

NAMED = 20
FEW = 0.5
"""An image is named if less than this share of its classes is found, though every image of the task shows them all."""


@dataclass(frozen=True)
class NotingFound:
    """Writes as `writer` does, and notes the images in which few classes are found."""

    writer: MaskWriter
    task: Task
    few: dict[str, int] = field(default_factory=dict)
    """The classes that are found in each of them, by name."""

    @property
    def done(self) -> int:
        return self.writer.done

    @property
    def left_out(self) -> Sequence[str]:
        return cast(LeavingWriter, self.writer).left_out

    def leave_out(self, reason: str, /) -> None:
        cast(LeavingWriter, self.writer).leave_out(reason)

    def write_mask(self, name: str, mask: StoredMask, /) -> None:
        """Write a mask, and count the classes in it."""
        found = classes_in(mask)
        if found < FEW * len(self.task.classes):
            self.few[name] = found
        self.writer.write_mask(name, mask)


def name_few(task: Task, samples: Sequence[Sample], few: Iterable[Mapping[str, int]]) -> None:
    """Log a warning that names the images in which few classes were found, in the order of `samples`.

    `few`: the classes that are found in each of them, of each process.
    """
    found = {name: count for of_process in few for name, count in of_process.items()}
    named = [f"{sample.name} ({found[sample.name]})" for sample in samples if sample.name in found]
    if named:
        log.warning(
            "fewer than half of the %d classes are found in %s, so the network may not know their kind, or they "
            "show something else: %s",
            len(task.classes),
            pluralize(len(named), "image"),
            list_names(named, NAMED),
        )


def noting_found(writer: MaskWriter, task: Task) -> NotingFound | None:
    """Return a writer that notes what is found, if each image of the task shows all of its classes."""
    return NotingFound(writer, task) if task.checks.all_classes and task.encoding is BITS else None


def classes_in(packed: StoredMask) -> int:
    """Return the number of classes that have a pixel in a packed mask uint8[H, W, K]."""
    pixels = np.ascontiguousarray(packed).reshape(-1, packed.shape[2])
    if packed.shape[2] in (2, 4, 8):  # One number a pixel is 20 times as fast as several.
        pixels = pixels.view(f"u{packed.shape[2]}")
    return int(np.unpackbits(np.bitwise_or.reduce(pixels, axis=0).view(np.uint8)).sum())
