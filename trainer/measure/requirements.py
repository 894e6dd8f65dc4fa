"""Compare what a run needs with what this machine has: each number becomes a finding, with a remedy if it is not ok.

The numbers come from `trainer.measure.probe`, which measures them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from utils.doctor.finding import Finding, ok, problem, size_text, time_text, warning
from utils.text import pluralize

FULL_SHARE = 0.9
"""Share of the free memory, 0..1, above which a little more work, or another program, ends the run."""


@dataclass(frozen=True)
class Images:
    """Numbers of images of a run. `fault`: why there is no usable data set; then the task's typical numbers."""

    root: str
    train: int
    valid: int
    fault: str = ""


@dataclass(frozen=True)
class Pretrained:
    """The pretrained weights of the encoder; `here`: whether they are on this machine already."""

    encoder: str
    name: str
    here: bool


@dataclass(frozen=True)
class Loading:
    """Time and size of loaded samples, in one process. `real`: of the data set's own files, not of generated images."""

    sample_s: float
    batch_size: int
    batch_mib: float
    workers: int
    wanted_workers: int
    prefetch: int
    cores: float
    shm_free_mib: float | None
    real: bool

    @property
    def in_flight_mib(self) -> float:
        """MiB of the batches in shared memory when the loader is as far ahead as it may be."""
        return self.workers * self.prefetch * self.batch_mib

    def workers_needed(self, batch_s: float) -> int:
        """Return how many processes load a batch in the time that the network takes for one."""
        return math.ceil(self.sample_s * self.batch_size / batch_s)


@dataclass(frozen=True)
class Steps:
    """Training steps that were measured; `batch_s` includes the share of a batch in the optimizer's step."""

    device: str
    on_gpu: bool
    threads: int
    precision: str
    emulated: bool
    batch_size: int
    accumulate: int
    size_hw: tuple[int, int]
    batch_s: float


@dataclass(frozen=True)
class DeviceMemory:
    """Peak memory of training and scoring. On a GPU what torch reserved, on a CPU the resident memory of the process.

    `available_mib`: what this process could have had; `total_mib`: all memory of the device.
    """

    peak_mib: float
    available_mib: float
    total_mib: float


@dataclass(frozen=True)
class Scoring:
    """Seconds to predict, binarize and score one held-out image of this native size."""

    image_s: float
    native_hw: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """How often each part of the work is done."""

    epochs: int
    batches_per_epoch: int
    evaluations: int
    stops_early: bool
    steps: int | None = None
    """Optimizer steps, if the training is counted in them: then all their batches are those of one epoch."""


@dataclass(frozen=True)
class Files:
    """The largest size of the run's folder, and the free space there; `error`: why no file can be written."""

    folder: str
    state_mib: float
    weights_mib: float
    keep: int
    free_mib: float
    error: str = ""
    kept_weights: int = 0
    """How many weights are kept beside the best ones."""

    @property
    def most_mib(self) -> float:
        """The most MiB at one time: new states and weights are complete before old ones are deleted."""
        return (self.keep + 1) * self.state_mib + (2 + self.kept_weights) * self.weights_mib


def check_images(images: Images) -> Finding:
    """Report the numbers of images, or why the data set cannot be used."""
    if images.fault:
        return problem(
            "data set", images.fault, "fix it; the lines below assume the task's typical number and size of images"
        )
    return ok("data set", f"{images.root}: {images.train} images to train on, {images.valid} held out")


def check_pretrained(pretrained: Pretrained) -> Finding:
    """Report whether the pretrained weights must be downloaded."""
    text = f"'{pretrained.name}' of encoder '{pretrained.encoder}'"
    if pretrained.here:
        return ok("weights", f"{text}: on this machine")
    return warning(
        "weights",
        f"{text}: not on this machine yet; the start of training fetches them from the Hugging Face hub",
        "without a network: model.encoder_weights=FILE, or HF_HOME=<a folder that holds them>, or null",
    )


def check_loading(loading: Loading) -> Iterator[Finding]:
    """Report the time of a sample, and whether shared memory can hold the batches that wait."""
    source = "of this data set" if loading.real else "of noise, so without the time to decode files"
    yield ok("loading", f"{time_text(loading.sample_s)} a sample in one process (images {source})")
    if loading.workers and loading.shm_free_mib is not None:
        need, free = loading.in_flight_mib, loading.shm_free_mib
        text = f"{size_text(need)} of batches in flight; /dev/shm has {size_text(free)} free"
        if need > free:
            way_out = f"{fitting_keys(loading, free)}, or docker run --shm-size=8g"
            yield problem("shared mem", f"{text}: loader processes will die with a bus error", way_out)
        else:
            yield ok("shared mem", text)


def fitting_keys(loading: Loading, free_mib: float) -> str:
    """Return settings of the loader with which the waiting batches fit into `free_mib`."""
    batches = int(FULL_SHARE * free_mib / loading.batch_mib)
    if batches >= loading.workers:
        return f"data.prefetch={batches // loading.workers}"
    return f"data.workers={batches} data.prefetch=1" if batches else "data.workers=0"


def check_steps(steps: Steps) -> Iterator[Finding]:
    """Report the time of a batch, and whether the device only emulates the number format."""
    height, width = steps.size_hw
    text = (
        f"{time_text(steps.batch_s)} a batch of {steps.batch_size} at {height} x {width} px in {steps.precision} "
        f"on {steps.device}"
    )
    if steps.accumulate > 1:
        text += f"; {steps.accumulate} batches to an optimizer step"
    yield ok("step", text)
    if steps.emulated:
        yield warning(
            "precision",
            f"{steps.precision} is slow on this device: it is emulated",
            "trainer.precision=auto takes what the device is fast at",
        )


def check_memory(memory: DeviceMemory, on_gpu: bool, ways_out: str) -> Finding:
    """Report the peak memory; a warning if little more would not fit."""
    device = "card" if on_gpu else "machine"
    text = (
        f"{size_text(memory.peak_mib)} at most; {size_text(memory.available_mib)} of the {device}'s "
        f"{size_text(memory.total_mib)} were free"
    )
    if memory.peak_mib > FULL_SHARE * memory.available_mib:
        return warning("memory", f"{text}: it fits barely", ways_out)
    return ok("memory", text)


def check_workers(loading: Loading, steps: Steps) -> Finding:
    """Report whether the network waits for data; on a CPU it always does, because both share the cores."""
    if not steps.on_gpu:
        share = loading.sample_s * loading.batch_size / (loading.sample_s * loading.batch_size + steps.batch_s)
        return ok(
            "workers", f"data.workers={loading.workers}; on a CPU loading takes its share: {share:.0%} of the work"
        )
    needed = loading.workers_needed(steps.batch_s)
    text = f"{pluralize(needed, 'loader process', 'loader processes')} keep up with the network"
    if loading.workers >= needed:
        return ok("workers", f"{text}; data.workers={loading.wanted_workers} starts {loading.workers}")
    if needed <= loading.cores:
        text += f"; data.workers={loading.wanted_workers} starts {loading.workers}: the network would wait"
        return warning("workers", text, f"data.workers={needed}")
    return warning(
        "workers",
        f"{text}, but there are {loading.cores:g} cores: the network would wait",
        "ask for more cores, a smaller transform.size_px, or leave out slow transforms (elastic, clahe)",
    )


def check_time(images: Images, loading: Loading, steps: Steps, scoring: Scoring, plan: Plan) -> Finding:
    """Report how long the whole run will take."""
    train_s, score_s = plan.batches_per_epoch * batch_s(loading, steps), images.valid * scoring.image_s
    run_s = plan.epochs * train_s + plan.evaluations * score_s
    assumed = f" (with {images.train + images.valid} images, as is typical of the task)" if images.fault else ""
    batches = pluralize(plan.batches_per_epoch, "batch", "batches")
    work = f"{pluralize(plan.epochs, 'epoch')} of {batches}, {time_text(train_s)} each"
    if plan.steps is not None:
        work = f"{pluralize(plan.steps, 'step')} of {batches} together, {time_text(train_s)}"
    return ok(
        "time",
        f"{'at most ' if plan.stops_early else ''}{time_text(run_s)} for {work}, and "
        f"{pluralize(plan.evaluations, 'scoring')}, {time_text(score_s)} each{assumed}",
    )


def batch_s(loading: Loading, steps: Steps) -> float:
    """Return the seconds from one batch to the next, if loader processes work at the same time as the network."""
    load_s = loading.sample_s * loading.batch_size
    if not loading.workers:
        return steps.batch_s + load_s
    # The slower of the two sets the pace; on a CPU the cores must also do the sum of both.
    slower_s = max(steps.batch_s, load_s / loading.workers)
    return slower_s if steps.on_gpu else max(slower_s, (steps.batch_s * steps.threads + load_s) / loading.cores)


def check_files(files: Files) -> Finding:
    """Report whether the run's files can be written and will fit."""
    if files.error:
        way_out = "name a folder that can be written: run.folder=…"
        return problem("disk", f"{files.folder} cannot be written ({files.error})", way_out)
    kept = f", and {files.kept_weights} times that of kept ones" if files.kept_weights else ""
    text = (
        f"{files.folder} will hold up to {size_text(files.most_mib)} (a state {size_text(files.state_mib)}, "
        f"weights {size_text(files.weights_mib)}{kept}); {size_text(files.free_mib)} free"
    )
    way_out = "free space, name another disk with run.folder=…, or keep fewer states with checkpoint.keep=1"
    if files.kept_weights:
        way_out += ", or fewer weights with a larger checkpoint.keep_every_steps"
    if files.most_mib > files.free_mib:
        return problem("disk", text, way_out)
    if 2 * files.most_mib > files.free_mib:
        return warning("disk", text, way_out)
    return ok("disk", text)
