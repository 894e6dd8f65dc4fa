"""Explain errors of torch and of the system to users: memory that ran out, loader processes that died."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from configs.schema import Config
from trainer.training.loader import TrainLoader
from utils.errors import UserError

OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"),
    "not enough memory: you tried to allocate",
)
SHARED_MEMORY = ("unable to write to file </torch_", "unable to open shared memory object", "unable to mmap")
WORKER_DIED = re.compile(r"DataLoader worker \(pid(?:\(s\))? (?P<pid>\d+)[^)]*\) (?P<how>[^\n]*?)\.?\s*(?:\n|$)")
NOT_DETERMINISTIC = re.compile(r"(\S+) does not have a deterministic implementation")
GIB = 1024**3


@dataclass(frozen=True)
class DeviceMemory:
    """A device's memory in bytes when it ran out. `peak` is the most that this process ever held at once."""

    device: str
    total: int
    peak: int
    others: int

    def __str__(self) -> str:
        others = f", other programs held {self.others / GIB:.1f} GiB" if self.others > GIB // 10 else ""
        return f"{self.device} has {self.total / GIB:.1f} GiB, this run held up to {self.peak / GIB:.1f} GiB{others}"


@contextmanager
def torch_errors_explained(config: Config, device: torch.device, loader: TrainLoader | None = None) -> Iterator[None]:
    """Raise what the block raises, but as the `UserError` of `explain_torch_error` if there is one."""
    try:
        yield
    except Exception as error:
        explained = explain_torch_error(error, config, device, loader)
        if explained is not None:
            raise explained from error
        raise


def explain_torch_error(
    error: BaseException, config: Config, device: torch.device, loader: TrainLoader | None = None
) -> UserError | None:
    """Return a sentence for an error of torch or the system that the user can fix; None for any other."""
    text = str(error)
    if is_out_of_memory(error):
        return UserError(out_of_memory(config, memory_of(device)))
    if _has(error, SHARED_MEMORY):
        return UserError(
            "data.workers: the shared memory that loader processes pass images through (/dev/shm) is full. Lower "
            "data.workers or data.prefetch, or start the container with a larger --shm-size."
        )
    unsteady = NOT_DETERMINISTIC.search(text)
    if unsteady is not None:
        return UserError(
            f"trainer.deterministic: torch has no deterministic kernel of {unsteady[1]} for this GPU, which this "
            "network or loss needs. Write false, or take another network or loss."
        )
    if "Expected more than 1 value per channel" in text:
        return UserError(
            "trainer.batch_size=1: batch normalisation needs more than one value per channel, which this network does "
            "not leave at this transform.size_px. Set trainer.batch_size=2, or a larger size."
        )
    died = WORKER_DIED.search(text) if isinstance(error, RuntimeError) else None
    if died is None:
        return None
    return UserError(worker_died(died["how"], loader.key_read_by(int(died["pid"])) if loader else None))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's or the machine's memory has run out."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _has(error, OUT_OF_MEMORY)


def out_of_memory(config: Config, memory: DeviceMemory | None) -> str:
    """Say how much memory there was, which settings needed more, and which keys need less."""
    settings, size = config.trainer, config.transform.size_px
    size_px = size if isinstance(size, int) else " x ".join(map(str, size))
    figures = f": {memory}" if memory else ""
    spared = getattr(config.model.params, "checkpoint_gradients", True)
    uncompiled = ", trainer.compile=false" if settings.compile else ""
    sparing = f"set model.checkpoint_gradients=true{uncompiled} (saves most, costs time) and continue, or "
    sparing = "" if spared else sparing
    return (
        f"Out of memory{figures}, with trainer.batch_size={settings.batch_size}, "
        f"trainer.evaluate_batch_size={settings.evaluate_batch_size}, transform.size_px={size_px}, "
        f"trainer.precision={settings.precision}. Lower trainer.evaluate_batch_size or {sparing}start a new run with a "
        "lower trainer.batch_size (trainer.accumulate raised as much keeps what is learnt) or transform.size_px."
    )


def worker_died(how: str, key: str | None) -> str:
    """Say how a loader process ended. `how` is torch's word for it, `key` the sample that it read last, if known."""
    at = f" at {key}" if key else ""
    if "Killed" in how:
        way_out = "The system kills what takes too much memory: lower data.workers or data.prefetch."
    elif "Bus error" in how:
        way_out = (
            "Shared memory (/dev/shm) is full: lower data.workers, or start the container with a larger --shm-size."
        )
    else:
        way_out = (
            "Either memory ran out (lower data.workers or data.prefetch), or the image is broken (look at it with "
            "`python -m data.check`, leave it out with data.exclude)."
        )
    return f"data.workers: a loader process ended{at} ({how}). {way_out}"


def memory_of(device: torch.device) -> DeviceMemory | None:
    """Return the figures of a GPU; None for other devices."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_reserved(device)
    name = f"{torch.cuda.get_device_name(device)} ({device})"
    return DeviceMemory(name, total, torch.cuda.max_memory_allocated(device), max(0, total - free - held))


def _has(error: BaseException, signs: tuple[str, ...]) -> bool:
    return isinstance(error, (RuntimeError, OSError)) and any(sign in str(error) for sign in signs)
