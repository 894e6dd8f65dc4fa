"""At which lines the processor waits for the device: in a step, a vote to stop, a scoring and a prediction."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.bench import BASE, SMALL_NETWORK, Bench
from benchmarks.gpu.part import Measurement, Row
from models.sync_batch_norm import SharedBatchNorm
from trainer.build import build_predictor, build_validator
from trainer.distributed.processes import StopVote
from trainer.training.meters import RunningMeans

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parents[1]
IMAGES = 3
NETWORK = (*SMALL_NETWORK, "transform.size_px=128", "trainer.batch_size=2")
WARNINGS = {"warnings.py", "_py_warnings.py"}
"""Files of Python's own module, before 3.14 and since."""
SAID = "called a synchronizing"
"""In the warning that torch gives for each wait."""


def waits(bench: Bench) -> Iterator[Measurement]:
    """Find the waits of each kind of work, after a first time that is not counted."""
    for precision in ("fp16", "bf16") if bench.clock.on_gpu else ("fp32",):
        yield Measurement(f"a step in {precision}", partial(_of_step, bench, precision))
    yield Measurement("a vote to stop", lambda: of_vote(bench))
    yield Measurement("a shared batch normalisation", lambda: of_norm(bench))
    predicting = cache(partial(Predicting, bench))
    yield Measurement(f"scoring of {IMAGES} images", lambda: predicting().scoring())
    yield Measurement(f"prediction of {IMAGES} images", lambda: predicting().prediction())


def _of_step(bench: Bench, precision: str) -> Iterable[Row]:
    """Take the batches of one optimizer step, and add up their losses; nothing there should wait."""
    config = bench.config(BASE, *NETWORK, f"trainer.precision={precision}")
    stepper, (images, packed), means = bench.stepper(config), bench.batch(config), RunningMeans()

    def step() -> None:
        for number in range(stepper.accumulate):
            means.add(stepper.step(images, packed, number, stepper.accumulate))

    return found(bench, f"a step in {precision}", step, none_expected=True)


def of_vote(bench: Bench) -> Iterable[Row]:
    """Vote as several processes do, in a group of one; the votes of the step before are waited for by an event."""
    with bench.group_of_one():
        vote = StopVote(bench.device)
        return found(bench, "a vote to stop", lambda: vote(False), none_expected=True)


def of_norm(bench: Bench) -> Iterable[Row]:
    """Normalise a batch forward and backward as several processes do, in a group of one."""
    layer = SharedBatchNorm(nn.BatchNorm2d(8)).to(bench.device)
    values = torch.ones(2, 8, 16, 16, device=bench.device, requires_grad=True)

    def normalise() -> None:
        layer(values).sum().backward()

    with bench.group_of_one():
        return found(bench, "a shared batch normalisation", normalise, none_expected=True)


class Predicting:
    """A network that scores and predicts a few images."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.samples = bench, bench.samples[:IMAGES]
        self.config = bench.config(BASE, *NETWORK, f"trainer.precision={bench.half}")
        self.state = bench.stepper(self.config).train_state

    def scoring(self) -> Iterable[Row]:
        validator = build_validator(self.config, self.state, self.samples, emit=lambda event: None)
        return found(self.bench, f"scoring of {IMAGES} images", lambda: validator.score(self.state.kept_model, 0))

    def prediction(self) -> Iterable[Row]:
        predictor = build_predictor(self.config, self.state.kept_model.eval(), self.bench.device)
        predictor = predictor.accelerated().replayed()
        return found(self.bench, f"prediction of {IMAGES} images", lambda: list(predictor.masks(self.samples)))


def found(bench: Bench, name: str, work: Callable[[], Any], *, none_expected: bool = False) -> list[Row]:
    """Do the work once, and once more with its waits counted: a row for each line."""
    work()
    work()
    bench.clock.wait()
    places = waits_of(bench, work)
    if not places:
        return [Row(name, {"place": "no wait", "times": 0}, holds=True if none_expected else None)]
    holds = False if none_expected else None
    return [Row(name, {"place": place, "times": times}, holds) for place, times in places.most_common()]


def waits_of(bench: Bench, work: Callable[[], Any]) -> Counter[str]:
    """Count the waits of a call by line. Without a card there are none: only the road is tried."""
    places: Counter[str] = Counter()

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if SAID in str(message):
            places[place_of(sys._getframe(1))] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        if bench.clock.on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            if bench.clock.on_gpu:
                torch.cuda.set_sync_debug_mode("default")
    return places


def place_of(frame: FrameType | None) -> str:
    """Return the innermost line of ours, and that of the library which it calls: `a/b.py:12 (c.py:3)`."""
    library = ""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and "site-packages" not in path.parts and not path.is_relative_to(HERE):
            return f"{path.relative_to(ROOT)}:{frame.f_lineno}" + (f" ({library})" if library else "")
        if not library and path.name not in WARNINGS:
            library = f"{path.name}:{frame.f_lineno}"
        frame = frame.f_back
    return library or "a thread of torch"
