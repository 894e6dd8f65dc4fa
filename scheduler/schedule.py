"""What every schedule is: a torch scheduler that knows when it steps, so that the trainer need not."""

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
    """How long a run is: its epochs, and the optimizer's steps in one epoch of this process (after accumulation)."""

    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.steps_per_epoch < 1:
            raise ValueError(f"a run has at least one epoch of one step, not {self}")

    @property
    def steps(self) -> int:
        """The optimizer's steps in the whole run."""
        return self.epochs * self.steps_per_epoch

    def steps_in(self, epochs: float) -> int:
        """The optimizer's steps in so many epochs, rounded."""
        return round(epochs * self.steps_per_epoch)


class Schedule:
    """A learning-rate schedule that is told of every step and every epoch, and moves on its own unit alone."""

    def __init__(self, scheduler: LRScheduler, unit: Unit) -> None:
        self.scheduler = scheduler
        self.unit = unit
        # torch warns where the first epoch ends before any optimizer step. The trainer keeps the order; what remains is
        # a step that the fp16 scaler skipped, which is no fault.
        scheduler.optimizer._opt_called = True  # type: ignore[attr-defined]

    @property
    def lrs(self) -> list[float]:
        """The learning rate of each parameter group, as the next step will use it."""
        return [float(group["lr"]) for group in self.scheduler.optimizer.param_groups]

    def after_step(self) -> None:
        """To be called after each optimizer step that was taken (not one that the fp16 scaler skipped)."""
        if self.unit == "batch":
            self.scheduler.step()

    def after_epoch(self, metric: float | None = None) -> None:
        """To be called after each epoch, with its metric; None where the epoch was not evaluated."""
        if self.unit == "epoch":
            self.scheduler.step()
        elif self.unit == "metric" and metric is not None:
            self.scheduler.step(metric)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Plain values; to be kept beside the optimizer's own state."""
        state: dict[str, Any] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken; may be called before or after the optimizer's own."""
        self.scheduler.load_state_dict(state)
        for group, lr in zip(self.scheduler.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True):
            group["lr"] = lr


def follow(optimizer: Optimizer, curve: Callable[[int], float], unit: Unit) -> Schedule:
    """A schedule from its closed form: each group's learning rate is its own base rate times curve(steps taken)."""
    return Schedule(LambdaLR(optimizer, curve), unit)


def floor_of(optimizer: Optimizer, min_lr: float) -> float:
    """`min_lr` as a share of the highest learning rate among the optimizer's groups."""
    highest = max(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
    if min_lr > highest:
        raise UserError(f"min_lr ({min_lr:g}) must not exceed the optimizer's learning rate ({highest:g})")
    return min_lr / highest
