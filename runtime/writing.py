"""Write the masks of many images to a task's output, one after the other, and continue what was interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from data.sample import Sample
from data.task import LeavingWriter, MaskWriter, Task
from utils.arrays import StoredMask
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import Meter

log = logging.getLogger(__name__)

Masks: TypeAlias = Callable[[Sequence[Sample]], Iterable[tuple[Sample, StoredMask]]]
"""Samples → each with its mask, in order."""
AHEAD = 64
"""Images after the last one written among which one that cannot be read is looked for; fewer are read ahead."""


def write_masks(
    task: Task,
    masks: Masks,
    samples: list[Sample],
    output: Path,
    *,
    origin: str,
    at_once: int,
    skip_empty: bool = False,
) -> list[UserError]:
    """Write the mask of each sample. `masks` predicts given samples; `origin` identifies weights and settings.

    An interrupted call continues at a multiple of the images that are predicted `at_once`. Returns what is wrong with
    images that cannot be decoded: they are left out if the task's predictions are `each_alone`. Raises `UserError` for
    them otherwise, and if the output cannot be written. With `skip_empty` images in which nothing is found are left out
    too.
    """
    if skip_empty and not task.output.each_alone:
        raise UserError(
            f"predict.skip_empty: task '{task.name}' writes one file of all images, so none is left out. Write false."
        )
    with task.output.open(output, samples, origin, at_once) as opened:
        writer = LeavingEmpty(cast(LeavingWriter, opened)) if skip_empty else opened
        done = writer.done
        if done:
            log.info("%s: %d of %d images are there from an interrupted call, continuing", output, done, len(samples))
        meter = Meter("Predicting", len(samples), done=done)
        try:
            while _write_until_broken(task, masks, samples, writer, meter):
                pass
        except KeyboardInterrupt:
            there = "%s: %d of %d images are there; the same command continues with the next"
            log.info(there, output, writer.done, len(samples))
            raise
        finally:
            meter.close()
        return left_out_by(task, writer)


@dataclass(frozen=True)
class LeavingEmpty:
    """Writes as `writer` does, and leaves out images in which nothing is found."""

    writer: LeavingWriter

    @property
    def done(self) -> int:
        return self.writer.done

    @property
    def left_out(self) -> Sequence[str]:
        return self.writer.left_out

    def leave_out(self, reason: str, /) -> None:
        self.writer.leave_out(reason)

    def write_mask(self, name: str, mask: StoredMask, /) -> None:
        """Write a mask, or note that it is empty."""
        if mask.any():
            self.writer.write_mask(name, mask)
        else:
            self.writer.leave_out(f"{name}: nothing is found in this image (predict.skip_empty)")


def _write_until_broken(task: Task, masks: Masks, samples: Sequence[Sample], writer: MaskWriter, meter: Meter) -> bool:
    """Write the masks of all samples that are left, or of those before one that cannot be read, and leave that out.

    Returns whether samples are left. Raises `UserError` for the one that cannot be read, if all are needed.
    """
    try:
        _write(masks, samples[writer.done :], writer, meter)
        return False
    except _Unreadable as error:
        place = _first_broken(task, samples, writer.done) if task.output.each_alone else None
        if place is None:
            raise error.fault from None
    index, fault = place
    if index > writer.done:
        _write(masks, samples[writer.done : index], writer, meter)
    cast(LeavingWriter, writer).leave_out(str(fault))
    meter.advance()
    return writer.done < len(samples)


def left_out_by(task: Task, writer: MaskWriter) -> list[UserError]:
    """Return what is wrong with the images that a writer has left out."""
    return [UserError(reason) for reason in cast(LeavingWriter, writer).left_out] if task.output.each_alone else []


class _Unreadable(Exception):
    """Masks could not be made: `fault` says why."""

    def __init__(self, fault: UserError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _write(masks: Masks, samples: Sequence[Sample], writer: MaskWriter, meter: Meter) -> None:
    """Write the masks of samples. Raises `_Unreadable` if one cannot be made, `UserError` if one cannot be written."""

    def made() -> Iterable[tuple[Sample, StoredMask]]:
        try:
            yield from masks(samples)
        except UserError as error:
            raise _Unreadable(error) from error

    def write(predicted: tuple[Sample, StoredMask]) -> None:
        writer.write_mask(predicted[0].name, predicted[1])
        meter.advance()

    for _ in map_ahead(write, made(), workers=1, ahead=3):
        pass


def _first_broken(task: Task, samples: Sequence[Sample], start: int) -> tuple[int, UserError] | None:
    """Return the place of the first image from `start` on that cannot be read, and why; None if the next ones can."""
    for index, sample in enumerate(samples[start : start + AHEAD], start):
        try:
            task.read_image(sample.image)
        except UserError as error:
            return index, error
    return None
