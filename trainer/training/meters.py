"""Measurements of a run: running means of losses, time spent waiting for data, memory and load of the GPU."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import torch
from torch import Tensor

from utils.host_copy import HostCopy

Item = TypeVar("Item")
MIB = 1024**2


class RunningMeans:
    """Means of named values over an epoch. Sums stay on the device; only `read` waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.first_bad: Tensor | None = None
        """The number, from 0, of the first batch with a value that is not finite, on the device; -1: all are finite."""

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one batch."""
        for name, value in values.items():
            earlier = self.sums.get(name)
            self.sums[name] = value.detach().float() + (0.0 if earlier is None else earlier)
        self._note_whether_finite(torch.stack([value.detach().float() for value in values.values()]))
        self.count += 1

    def read(self) -> dict[str, float]:
        """Return the means so far; empty if nothing was added."""
        if not self.sums:
            return {}
        sums = torch.stack(list(self.sums.values())).tolist()
        return {name: total / self.count for name, total in zip(self.sums, sums, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed epoch continues from. The first bad batch is left out: a bad state is never saved."""
        return {"count": self.count, "sums": dict(self.sums)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        self.count = state["count"]
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}

    def _note_whether_finite(self, values: Tensor) -> None:
        """Record the first bad batch on the device, so that no step waits for it."""
        now = torch.where(values.isfinite().all(), -1, self.count)
        before = self.first_bad
        self.first_bad = now if before is None else torch.where(before < 0, now, before)


class Reading:
    """How a training stands after a batch: means of losses, and whether all is finite.

    It is made without waiting for the device, and can be read when the device has come to this batch.
    """

    def __init__(self, means: RunningMeans, weights_finite: Tensor) -> None:
        """`weights_finite`: whether all weights are finite, one boolean on the device."""
        self.names, self.count = tuple(means.sums), means.count
        none = torch.full((), -1, device=weights_finite.device)
        numbers = (*means.sums.values(), none if means.first_bad is None else means.first_bad, weights_finite)
        self.copy = HostCopy(torch.stack([number.float() for number in numbers]))

    def is_there(self) -> bool:
        """Whether the device has come to this batch, so that reading does not wait for it."""
        return self.copy.is_there()

    def mean(self, name: str) -> float:
        """Return the mean so far of one of the values."""
        return float(self.copy.read()[self.names.index(name)]) / self.count

    def first_bad(self) -> int | None:
        """Return the number, from 0, of the first batch with a value that is not finite; None if all are finite."""
        first = int(self.copy.read()[-2])
        return None if first < 0 else first

    def weights_are_finite(self) -> bool:
        """Whether all weights and buffers were finite."""
        return bool(self.copy.read()[-1])


class Stopwatch:
    """Measures an epoch's duration and the part of it that was spent waiting for data; starts when it is made."""

    def __init__(self) -> None:
        self.started_s = time.perf_counter()
        self.waited_s = 0.0

    def time(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield `batches` and add up the time until each of them arrived."""
        source = iter(batches)
        while True:
            asked_s = time.perf_counter()
            try:
                batch = next(source)
            except StopIteration:
                return
            self.waited_s += time.perf_counter() - asked_s
            yield batch

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started_s

    @property
    def wait_share(self) -> float:
        """The share of the time so far that was spent waiting for data, 0..1."""
        return self.waited_s / max(self.seconds, 1e-9)


def device_figures(device: torch.device) -> dict[str, float]:
    """Measure a GPU's memory in MiB and its utilisation (share of time that kernels ran lately) in percent.

    `memory_peak_mib` is the largest amount that this process has held, `memory_used_mib` what all processes hold now.
    Empty for a CPU.
    """
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    figures = {
        "memory_peak_mib": torch.cuda.max_memory_reserved(device) / MIB,
        "memory_used_mib": (total - free) / MIB,
        "memory_total_mib": total / MIB,
    }
    with suppress(Exception):  # the driver's library may be missing or fail, with many types of errors
        figures["utilisation_percent"] = float(torch.cuda.utilization(device))
    return figures
