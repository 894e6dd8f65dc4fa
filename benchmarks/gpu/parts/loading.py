"""Whether the loader keeps up with the card: samples a second, and the share of training that is spent waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

from torch import Tensor

from benchmarks.gpu.bench import BASE, SMALL, Bench
from benchmarks.gpu.part import Measurement, Row
from trainer.build import build_loader
from trainer.training.loader import TrainLoader
from trainer.training.meters import Stopwatch
from trainer.training.stepper import Stepper
from utils.system.cores import usable_cores

ENOUGH_S = 12.0
"""Batches are taken for so long at most, before the timing and in it."""
NEVER_ENDING = 10**9
"""Batches of an epoch, so that none is its last."""
FEW = 4
"""Workers of a usual machine, or of one whose cores are shared."""
PREFETCH = 2
"""Batches that each worker loads ahead: half of the default, so that fewer are taken before the timing."""
SAMPLES = 8192
"""Samples of an epoch: the images, again and again."""


def loading(bench: Bench) -> Iterator[Measurement]:
    """Load images through as many workers as there are cores for, alone and beside the network."""
    most = 1 if bench.tiny else max(1, usable_cores() - 2)
    base = cache(lambda: bench.stepper(bench.config(BASE, f"trainer.precision={bench.half}")))
    yield _one(bench, BASE, most, base)
    if most > FEW:
        yield _one(bench, BASE, FEW, base)
    yield _one(bench, BASE, most, None)
    if not bench.tiny:
        yield _one(bench, SMALL, most, lambda: bench.stepper(bench.config(SMALL)))


def _one(bench: Bench, recipe: str, workers: int, stepper: Callable[[], Stepper] | None) -> Measurement:
    kind = "loading alone" if stepper is None else "training"
    name = f"{recipe}, {kind}, {workers} {'worker' if workers == 1 else 'workers'}"
    return Measurement(name, partial(_measured, bench, name, recipe, workers, stepper))


def _measured(
    bench: Bench, name: str, recipe: str, workers: int, stepper: Callable[[], Stepper] | None
) -> Iterable[Row]:
    """Take batches from the loader, and with a stepper a step on each, as a training does."""
    config = bench.config(recipe, f"data.workers={workers}", f"data.prefetch={PREFETCH}")
    samples = list(bench.samples) * (1 if bench.tiny else -(-SAMPLES // len(bench.samples)))
    trains = None if stepper is None else stepper()
    loader = build_loader(config, samples, bench.accelerator)
    try:
        taken = take(bench, loader, trains, 1 if bench.tiny else workers * PREFETCH)
    finally:
        loader.close()
    rate = taken.batches * config.trainer.batch_size / taken.seconds
    share = None if trains is None else taken.wait_share
    return [Row(name, {"images_s": rate, "wait_share": share, "batches": float(taken.batches)})]


@dataclass(frozen=True)
class Taken:
    """Batches that were timed, the seconds that they took, and the share of these spent waiting."""

    batches: int
    seconds: float
    wait_share: float


def take(bench: Bench, loader: TrainLoader, stepper: Stepper | None, ahead: int) -> Taken:
    """Take twice as many batches as are loaded `ahead`, after as many that are not counted.

    Those were loaded while the workers started, and while nothing was taken.
    """
    batches, begun_s = enumerate(endless(loader)), time.perf_counter()
    for number, batch in islice(batches, ahead):
        use(bench, stepper, number, batch)
        if time.perf_counter() - begun_s > ENOUGH_S:
            break
    stopwatch, taken = Stopwatch(), 0
    for number, batch in stopwatch.time(batches):
        use(bench, stepper, number, batch)
        taken += 1
        if taken == 2 * ahead or stopwatch.seconds > ENOUGH_S:
            break
    return Taken(taken, stopwatch.seconds, stopwatch.wait_share)


def endless(loader: TrainLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of epoch after epoch."""
    epoch = 0
    while True:
        yield from loader.batches(epoch)
        epoch += 1


def use(bench: Bench, stepper: Stepper | None, number: int, batch: tuple[Tensor, Tensor]) -> None:
    """Take a step on a batch, and wait for it, so that the time of a step is not counted as waiting for data."""
    if stepper is not None:
        stepper.step(*batch, number, NEVER_ENDING)
    bench.clock.wait()
