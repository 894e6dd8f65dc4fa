"""Write the masks of many images to a task's output, one after the other, and continue what was interrupted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from data.image import is_large
from data.sample import Sample
from data.task import LeavingWriter, MaskWriter, Task
from runtime.found import name_few, noting_found
from runtime.sharing import Alone, Exchange, in_turn, opened_in, ranks_of
from utils.arrays import StoredMask
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import Meter
from utils.system.malloc import return_freed_memory

log = logging.getLogger(__name__)

Masks: TypeAlias = Callable[[Iterable[Sample]], Iterable[tuple[Sample, StoredMask]]]
"""Samples → each with its mask, in order."""


def write_masks(
    task: Task,
    masks: Masks,
    samples: list[Sample],
    output: Path,
    *,
    origin: str,
    at_once: int,
    skip_empty: bool = False,
    threads: int = 2,
    exchange: Exchange | None = None,
) -> list[UserError]:
    """Write the mask of each sample. `masks` predicts given samples; `origin` identifies weights and settings.

    An interrupted call continues at a multiple of the images that are predicted `at_once`. Returns what is wrong with
    images that cannot be decoded: they are left out if the task's predictions are `each_alone`. Raises `UserError` for
    them otherwise, and if the output cannot be written. With `skip_empty` images in which nothing is found are left out
    too. `threads` try to decode images before they are predicted, if some may be left out.

    With an `exchange` each process predicts its share, and the main one writes the same bytes as one process would; the
    others return nothing.
    """
    exchange = exchange or Alone()
    if skip_empty and not task.output.each_alone:
        raise UserError(
            f"predict.skip_empty: task '{task.name}' writes one file of all images, so none is left out. Write false."
        )
    with opened_in(exchange, task, task.output.open(output, samples, origin, at_once)) as opened:
        done: int = exchange.from_main(opened.done)
        if done:
            log.info("%s: %d of %d images are there from an interrupted call, continuing", output, done, len(samples))
        meter = Meter("Predicting", len(samples), done=done)
        # Each process has its share of every group.
        groups = list(_groups(task, samples[done:]))
        ranks = ranks_of(groups, at_once, exchange.world)
        turns = in_turn(exchange, opened, samples, ranks, meter.advance)
        noting = noting_found(turns, task)
        writer = LeavingEmpty(turns) if skip_empty else noting or turns
        try:
            for group in groups:
                own = [sample for sample in group if ranks[sample] == exchange.rank]
                if own:
                    _write(task, masks, own, writer, meter, threads)
            turns.finish()
        except KeyboardInterrupt:
            there = "%s: %d of %d images are there; the same command continues with the next"
            log.info(there, output, opened.done, len(samples))
            raise
        finally:
            meter.close()
        if noting is not None:
            name_few(task, samples, exchange.collect(noting.few))
        return [] if exchange.rank else left_out_by(task, opened)


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


def left_out_by(task: Task, writer: MaskWriter) -> list[UserError]:
    """Return what is wrong with the images that a writer has left out."""
    return [UserError(reason) for reason in cast(LeavingWriter, writer).left_out] if task.output.each_alone else []


def _groups(task: Task, samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Yield consecutive samples that may be in memory at the same time, in order: large ones alone."""
    group: list[Sample] = []
    for sample in samples:
        if not _is_large(task, sample):
            group.append(sample)
            continue
        if group:
            yield group
        yield [sample]
        group = []
    if group:
        yield group


def _is_large(task: Task, sample: Sample) -> bool:
    try:
        return is_large(task.image_size(sample.image))
    except UserError:  # It is named when it is read.
        return False


def _write(task: Task, masks: Masks, samples: Sequence[Sample], writer: MaskWriter, meter: Meter, threads: int) -> None:
    """Write the masks of the next samples, and leave out those that cannot be read if each is of use alone."""
    faults: dict[Sample, str] = {}
    waiting = deque(samples)

    def leave_out_before(sample: Sample | None) -> None:
        while waiting and waiting[0] != sample:
            cast(LeavingWriter, writer).leave_out(faults[waiting.popleft()])
            meter.advance()

    def write(predicted: tuple[Sample, StoredMask]) -> None:
        leave_out_before(predicted[0])
        writer.write_mask(predicted[0].name, predicted[1])
        waiting.popleft()
        meter.advance()

    readable = _readable(task, samples, faults, threads) if task.output.each_alone else samples
    for _ in map_ahead(write, masks(readable), workers=1, ahead=3):
        pass
    leave_out_before(None)


def _readable(task: Task, samples: Sequence[Sample], faults: dict[Sample, str], threads: int) -> Iterator[Sample]:
    """Yield the samples whose images can be decoded, in order; add what is wrong with the others to `faults`."""

    def fault_of(sample: Sample) -> tuple[Sample, str | None]:
        try:
            image = task.read_image(sample.image)
        except UserError as error:
            return sample, str(error)
        if is_large(image.shape):
            return_freed_memory()  # A decoder's own copy is no hole that the mask fits into.
        return sample, None

    for sample, fault in map_ahead(fault_of, samples, workers=threads, ahead=threads + 1):
        if fault is None:
            yield sample
        else:
            faults[sample] = fault
