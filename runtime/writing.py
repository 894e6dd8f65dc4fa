"""Write the masks of many images to a task's output, one after the other, and continue what was interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from data.sample import Sample
from data.task import Task
from utils.arrays import StoredMask
from utils.parallel import map_ahead
from utils.progress import track

log = logging.getLogger(__name__)


def write_masks(
    task: Task,
    masks: Callable[[Sequence[Sample]], Iterable[tuple[Sample, StoredMask]]],
    samples: list[Sample],
    output: Path,
    *,
    origin: str,
    at_once: int,
) -> None:
    """Write the mask of each sample. `masks` predicts given samples; `origin` identifies weights and settings.

    An interrupted call continues at a multiple of the images that are predicted `at_once`.
    """
    with task.output.open(output, samples, origin, at_once) as writer:

        def write(predicted: tuple[Sample, StoredMask]) -> None:
            writer.write_mask(predicted[0].name, predicted[1])

        done = writer.done
        if done:
            log.info("%s: %d of %d images are there from an interrupted call, continuing", output, done, len(samples))
        written = map_ahead(write, masks(samples[done:]), workers=1, ahead=3)
        try:
            for _ in track(written, "Predicting", len(samples), done=done):
                pass
        except KeyboardInterrupt:
            there = "%s: %d of %d images are there; the same command continues with the next"
            log.info(there, output, writer.done, len(samples))
            raise
