"""Times on a device, which computes while the processor goes on, and the memory that it held."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

GIB = 2**30
Work = Callable[[], Any]


@dataclass(frozen=True)
class Clock:
    """Measures work on one device."""

    device: torch.device

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Work) -> float:
        """Measure one call, from an idle device to an idle device."""
        self.wait()
        begun_s = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - begun_s

    def ms(self, work: Work, *, warm: int = 2, rounds: int = 5) -> float:
        """Measure the median milliseconds of a call, after `warm` calls that are not counted."""
        for _ in range(warm):
            work()
        return 1e3 * statistics.median(self.seconds(work) for _ in range(rounds))

    def launch_ms(self, work: Work, *, rounds: int = 3) -> float:
        """Measure the median milliseconds until a call returns: what the processor needs to launch the work."""
        times_s = []
        for _ in range(rounds):
            self.wait()
            begun_s = time.perf_counter()
            work()
            times_s.append(time.perf_counter() - begun_s)
        self.wait()
        return 1e3 * statistics.median(times_s)

    def start_anew(self) -> None:
        """Free what earlier work has left, and begin to record the peak of memory from here."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peaks_gib(self) -> dict[str, float | None]:
        """Return the peaks since `start_anew`: what tensors took, and what was reserved for them; None on a CPU."""
        if not self.on_gpu:
            return {"tensors_gib": None, "reserved_gib": None}
        return {
            "tensors_gib": torch.cuda.max_memory_allocated(self.device) / GIB,
            "reserved_gib": torch.cuda.max_memory_reserved(self.device) / GIB,
        }
