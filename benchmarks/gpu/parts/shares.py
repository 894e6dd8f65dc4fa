"""What a step of the base recipe spends its time on: by part of the step, and by kernel."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial, wraps
from typing import Any

from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.bench import BASE, Bench
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.part import Measurement, Row
from loss import Loss
from loss.base import Gather, Outputs
from trainer.training.stepper import Stepper

STEPS = 3
KERNELS = 12
NAME_CHARACTERS = 60


def shares(bench: Bench) -> Iterator[Measurement]:
    """Record one optimizer step as it is, by kernel, and then part by part, waiting for the device after each."""
    ready = cache(partial(made_ready, bench))
    yield Measurement("kernels", lambda: kernels(bench, *ready()))
    yield Measurement("parts", lambda: parts(bench, *ready()))


def made_ready(bench: Bench) -> tuple[Stepper, Tensor, Tensor]:
    """Build a stepper with a batch, and take a first optimizer step, which allocates memory and loads kernels."""
    config = bench.config(BASE, f"trainer.precision={bench.half}")
    stepper, (images, packed) = bench.stepper(config), bench.batch(config)
    take_step(stepper, images, packed)
    bench.clock.wait()
    return stepper, images, packed


@dataclass
class Marks:
    """Adds up the time of each part of a step; between two parts it belongs to what comes after the first."""

    clock: Clock
    spent_s: dict[str, float] = field(default_factory=dict)
    now: str = ""
    since_s: float = 0.0

    def begin(self, part: str) -> None:
        """End the part that went on and begin another, when the device has done all of it."""
        self.clock.wait()
        at_s = time.perf_counter()
        if self.now:
            self.spent_s[self.now] = self.spent_s.get(self.now, 0.0) + at_s - self.since_s
        self.now, self.since_s = part, at_s

    def around(self, work: Callable[..., Any], part: str, then: str) -> Callable[..., Any]:
        """Return `work` as the part `part`, after which `then` begins."""

        @wraps(work)
        def marked(*args: Any, **kwargs: Any) -> Any:
            self.begin(part)
            result = work(*args, **kwargs)
            self.begin(then)
            return result

        return marked


@dataclass(frozen=True)
class MarkedLoss(Loss):
    """A loss as a part of the step."""

    loss: Loss
    marks: Marks

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        made: dict[str, Tensor] = self.marks.around(self.loss.parts, "loss", "backward")(outputs, target_BCHW, gather)
        return made


def parts(bench: Bench, stepper: Stepper, *batch: Tensor) -> Iterable[Row]:
    """Measure the parts of a step by the objects that it works with, which are marked from then on."""
    marks = Marks(bench.clock)
    marked(stepper, marks)
    take_step(stepper, *batch)
    marks.spent_s.clear()
    for _ in range(STEPS):
        marks.begin("to the device")
        take_step(stepper, *batch)
    marks.begin("")
    return rows_of({part: 1e3 * spent_s / STEPS for part, spent_s in marks.spent_s.items()})


def take_step(stepper: Stepper, images: Tensor, packed: Tensor) -> None:
    """Take one optimizer step."""
    for number in range(stepper.accumulate):
        stepper.step(images, packed, number, stepper.accumulate)


def marked(stepper: Stepper, marks: Marks) -> None:
    """Put a mark before and after each part of the steps to come."""
    state = stepper.train_state
    stepper.train_state = replace(
        state,
        unpack=marks.around(state.unpack, "target", "loss"),
        loss=MarkedLoss(state.loss, marks),
    )
    state.network.register_forward_pre_hook(lambda *_: marks.begin("forward"))
    state.network.register_forward_hook(lambda *_: marks.begin("target"))
    state.optimizer.register_step_pre_hook(lambda *_: marks.begin("optimizer"))
    state.optimizer.register_step_post_hook(lambda *_: marks.begin("to the next step"))
    unscale = marks.around(stepper.scaler.unscale_, "unscale and clip", "unscale and clip")
    stepper.scaler.unscale_ = unscale  # type: ignore[method-assign]
    if state.ema is not None:
        update = marks.around(state.ema.update, "moving average", "to the next step")
        state.ema.update = update  # type: ignore[method-assign]


def rows_of(parts_ms: Mapping[str, float]) -> list[Row]:
    """Return a row of each part, with its share of all."""
    whole = sum(parts_ms.values())
    return [Row(name, {"ms": ms, "share": ms / whole}) for name, ms in parts_ms.items()]


def kernels(bench: Bench, stepper: Stepper, *batch: Tensor) -> Iterable[Row]:
    """Record one optimizer step: the kernels that take longest, how busy the device is, and how many they are."""
    activity = ProfilerActivity.CUDA if bench.clock.on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity], acc_events=True) as record:
        whole_ms = 1e3 * bench.clock.seconds(lambda: take_step(stepper, *batch))
    own_us, counts = Counter[str](), Counter[str]()
    for event in record.events():
        own_us[event.name] += own_time_us(event, on_gpu=bench.clock.on_gpu)
        counts[event.name] += 1
    busy_ms = own_us.total() / 1e3
    yield Row("recorded step: the device computes", {"ms": busy_ms, "share": busy_ms / whole_ms})
    for name, us in own_us.most_common(KERNELS):
        values = {"ms": us / 1e3, "share": us / 1e3 / busy_ms, "times": float(counts[name])}
        yield Row(f"`{name[:NAME_CHARACTERS]}`", values)


def own_time_us(event: Any, *, on_gpu: bool) -> int:
    """Return the microseconds of a kernel; on a CPU those of an operation without the ones that it calls."""
    if not on_gpu:
        return int(event.self_cpu_time_total)
    is_kernel = event.device_type.name == "CUDA" and not event.is_user_annotation
    return int(event.time_range.elapsed_us()) if is_kernel else 0
