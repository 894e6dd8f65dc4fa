"""What a run measures: means that stay on the device, and the time that it waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


class RunningMeans:
    """Means of named values over an epoch. Sums stay on the device; only `read` and `first_bad` wait for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self._first_bad: Tensor | None = None

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one batch's scalars."""
        for name, value in values.items():
            seen = self.sums.get(name)
            self.sums[name] = value.detach().float() + (0.0 if seen is None else seen)
        self._note_whether_finite(torch.stack([value.detach().float() for value in values.values()]))
        self.count += 1

    def read(self) -> dict[str, float]:
        """The means so far; empty where nothing was added."""
        if not self.sums:
            return {}
        sums = torch.stack(list(self.sums.values())).tolist()
        return {name: total / self.count for name, total in zip(self.sums, sums, strict=True)}

    def first_bad(self) -> int | None:
        """The number, from 0, of the first batch that brought a value which is not finite; None while all are."""
        first = -1 if self._first_bad is None else int(self._first_bad)
        return None if first < 0 else first

    def state_dict(self) -> dict[str, Any]:
        """What goes on after a resume; sums that are not finite are not worth saving."""
        return {"count": self.count, "sums": dict(self.sums)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        self.count = state["count"]
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}

    def _note_whether_finite(self, values: Tensor) -> None:
        """Remember the first bad batch on the device, so that no step waits for it."""
        now = torch.where(values.isfinite().all(), -1, self.count)
        before = self._first_bad
        self._first_bad = now if before is None else torch.where(before < 0, now, before)


class Stopwatch:
    """How much of an epoch's time was spent waiting for data."""

    def __init__(self) -> None:
        self.started_s = time.perf_counter()
        self.waited_s = 0.0

    def watch(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield `batches`, adding up the time that each took to arrive."""
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
        return time.perf_counter() - self.started_s

    @property
    def wait_share(self) -> float:
        """Waiting as a share of all time so far, 0..1."""
        return self.waited_s / max(self.seconds, 1e-9)
