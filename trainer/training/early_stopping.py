"""When to stop: a metric that has not improved for a number of evaluations."""

from __future__ import annotations

import math
from typing import Literal


class EarlyStopping:
    """Watches one metric, remembers its best value, and says when it has waited long enough.

    `patience` counts evaluations without improvement; an improvement is better than the best so far by more than
    `min_delta`. With `patience=None` it only keeps the best.
    """

    def __init__(
        self, *, patience: int | None = None, min_delta: float = 0.0, mode: Literal["max", "min"] = "max"
    ) -> None:
        self.patience, self.min_delta, self.sign = patience, min_delta, 1.0 if mode == "max" else -1.0
        self.best = -math.inf * self.sign
        self.best_epoch = -1
        self.waited = 0

    def update(self, epoch: int, value: float) -> bool:
        """Take the value of `epoch` in; True if it is the new best. A NaN never is."""
        if self.sign * (value - self.best) > self.min_delta:
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def should_stop(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict[str, float | int]:
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        self.best, self.best_epoch, self.waited = state["best"], int(state["best_epoch"]), int(state["waited"])
