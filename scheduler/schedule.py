"""`Schedule`: a torch scheduler with the unit on which it steps, so that the trainer calls all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from utils.errors import UserError

Unit = Literal["batch", "epoch", "metric"]


@dataclass(frozen=True)
class Horizon:
    """How long a run is: its epochs, and the optimizer's steps in one epoch of this process (after accumulation).

    A run that is counted in steps (`counts_steps`) has no epochs: all of its steps are given as those of one.
    """

    epochs: int
    steps_per_epoch: int
    counts_steps: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.steps_per_epoch < 1:
            raise ValueError(f"a run has at least one epoch of one step, not {self}")

    @classmethod
    def of(cls, length: int, steps_per_epoch: int, *, counts_steps: bool) -> Horizon:
        """Return the horizon of a run of `length` epochs, or of `length` steps if it counts those."""
        return cls(1, length, counts_steps=True) if counts_steps else cls(length, steps_per_epoch)

    @property
    def steps(self) -> int:
        """The optimizer's steps in the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def unit(self) -> Literal["batch", "epoch"]:
        """The unit that the run is counted in."""
        return "batch" if self.counts_steps else "epoch"

    def steps_in(self, epochs: float) -> int:
        """Return the number of optimizer steps in this many epochs, rounded."""
        return round(epochs * self.steps_per_epoch)


class Schedule:
    """A learning-rate schedule. The trainer reports every step and every epoch; it changes only on its own unit."""

    def __init__(self, scheduler: LRScheduler, unit: Unit) -> None:
        self.scheduler = scheduler
        self.unit = unit
        # torch warns if the schedule steps before the optimizer. The trainer keeps the order; the only case left is a
        # first step that the fp16 scaler skipped, which is no fault.
        scheduler.optimizer._opt_called = True  # type: ignore[attr-defined]

    @property
    def lrs(self) -> list[float]:
        """The learning rate of each parameter group in the next step."""
        return [float(group["lr"]) for group in self.scheduler.optimizer.param_groups]

    def after_step(self) -> None:
        """Advance a schedule of batches. Call it after each optimizer step, also if the fp16 scaler skipped it."""
        if self.unit == "batch":
            self.scheduler.step()

    def after_epoch(self, metric: float | None = None) -> None:
        """Advance a schedule of epochs or of a metric. `metric` is None if the epoch was not evaluated."""
        if self.unit == "epoch":
            self.scheduler.step()
        elif self.unit == "metric" and metric is not None:
            self.scheduler.step(metric)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values, to be saved beside the optimizer's own."""
        state: dict[str, Any] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from a `state_dict`; the order with the optimizer's own does not matter."""
        self.scheduler.load_state_dict(state)
        for group, lr in zip(self.scheduler.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True):
            group["lr"] = lr


def follow(optimizer: Optimizer, curve: Callable[[int], float], unit: Unit) -> Schedule:
    """Make a schedule from its closed form: each group's learning rate is its base rate times curve(steps taken)."""
    return Schedule(LambdaLR(optimizer, curve), unit)


def floor_of(optimizer: Optimizer, min_lr: float) -> float:
    """Return `min_lr` as a share of the highest learning rate of the optimizer's groups. Raises `UserError` above 1."""
    highest = max(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
    if min_lr > highest:
        raise UserError(f"min_lr ({min_lr:g}) must not exceed the optimizer's learning rate ({highest:g})")
    return min_lr / highest
