"""Stops a training whose monitored number has not improved for a number of evaluations."""

from __future__ import annotations

import math
from typing import Literal


class EarlyStopping:
    """Records the best value of one number, and how many evaluations have passed since.

    `patience` is the number of evaluations without improvement after which training stops; None never stops. An
    improvement exceeds the best value by more than `min_delta` (`mode="max"`), or is lower by more (`mode="min"`).
    """

    def __init__(
        self, *, patience: int | None = None, min_delta: float = 0.0, mode: Literal["max", "min"] = "max"
    ) -> None:
        self.patience, self.min_delta, self.sign = patience, min_delta, 1.0 if mode == "max" else -1.0
        self.best = -math.inf * self.sign
        self.best_epoch = -1
        self.waited = 0

    def update(self, epoch: int, value: float) -> bool:
        """Record the value of `epoch`; return whether it is the new best. A NaN never is."""
        if self.sign * (value - self.best) > self.min_delta:
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def should_stop(self) -> bool:
        """Whether `patience` evaluations have passed without improvement."""
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict[str, float | int]:
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        self.best, self.best_epoch, self.waited = state["best"], int(state["best_epoch"]), int(state["waited"])
