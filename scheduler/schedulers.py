"""The schedules by name. A new one is a function that returns a `Schedule`, and a line in `SCHEDULERS`.

Each multiplies the learning rates of the optimizer's groups by the same factor, so that encoder and decoder keep their
ratio. `min_lr` is the floor of the group with the highest learning rate; other groups have a proportionally lower one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from scheduler.cawr import Cycle, WarmRestarts
from scheduler.schedule import Horizon, Schedule, floor_of, follow
from utils.errors import UserError

Share = Annotated[float, Field(gt=0, lt=1)]


def custom_cawr(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    first_cycle: PositiveInt,
    warmup: NonNegativeInt = 0,
    cycle_mult: PositiveFloat = 1.0,
    min_lr: NonNegativeFloat = 1e-6,
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0,
    unit: Literal["batch", "epoch"] = "batch",
) -> Schedule:
    """Cosine annealing with warm-up restarts.

    A cycle rises linearly from min_lr to its peak over its first `warmup` units, then falls to min_lr along a cosine.

    first_cycle: length of the first cycle in units (T), warm-up included.
    warmup: units of rise in every cycle (W), fewer than first_cycle.
    cycle_mult: the next cycle is int((T - W) · cycle_mult) + W units long.
    decay: the peak of cycle n is lr · decay^n.
    unit: what lengths count and when the rate moves: "batch" is an optimizer step, "epoch" an epoch.
    """
    if warmup >= first_cycle:
        raise UserError(f"warmup ({warmup}) must be less than first_cycle ({first_cycle}), which includes it")
    if unit == "epoch" and horizon.counts_steps:
        raise UserError("unit: the run is counted in steps (trainer.steps), so write unit: batch, and lengths in steps")
    return follow(optimizer, WarmRestarts(first_cycle, warmup, cycle_mult, floor_of(optimizer, min_lr), decay), unit)


def cosine(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    warmup_epochs: NonNegativeFloat = 0.0,
    warmup_steps: NonNegativeInt = 0,
    min_lr: NonNegativeFloat = 1e-6,
) -> Schedule:
    """One cosine from the full rate to min_lr over the whole run, moved at every step.

    warmup_epochs: epochs (fractions allowed) of linear rise from min_lr before it.
    warmup_steps: the same in optimizer steps, instead of warmup_epochs.
    """
    cycle = _whole_run_as_cycle(horizon, warmup_epochs, warmup_steps)
    floor = floor_of(optimizer, min_lr)
    return follow(optimizer, lambda step: floor + (1 - floor) * cycle.height_at(step), "batch")


def polynomial(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    power: PositiveFloat = 0.9,
    warmup_epochs: NonNegativeFloat = 0.0,
    warmup_steps: NonNegativeInt = 0,
    min_lr: NonNegativeFloat = 1e-6,
) -> Schedule:
    """(1 - progress)^power from the full rate to min_lr over the whole run, moved at every step.

    power: 1 is a straight line; 0.9 is DeepLab's.
    warmup_epochs: epochs (fractions allowed) of linear rise from min_lr before it.
    warmup_steps: the same in optimizer steps, instead of warmup_epochs.
    """
    cycle = _whole_run_as_cycle(horizon, warmup_epochs, warmup_steps)
    floor = floor_of(optimizer, min_lr)

    def curve(step: int) -> float:
        if step < cycle.warmup:
            return floor + (1 - floor) * step / cycle.warmup
        left = max(0.0, (cycle.length - step) / (cycle.length - cycle.warmup))
        return floor + (1 - floor) * math.pow(left, power)

    return follow(optimizer, curve, "batch")


def one_cycle(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    rise: Share = 0.3,
    start_divisor: Annotated[float, Field(ge=1)] = 25.0,
    end_divisor: Annotated[float, Field(ge=1)] = 1e4,
) -> Schedule:
    """The 1cycle policy (arXiv:1708.07120) over the whole run, moved at every step.

    The rate rises from lr / start_divisor to lr along a cosine, then falls to lr / start_divisor / end_divisor, as in
    torch's OneCycleLR. Unlike that, it does not change momentum, and stays at its last rate if the run goes on.

    rise: the share of the run, between 0 and 1, that the rise takes.
    """
    start, end = 1 / start_divisor, 1 / start_divisor / end_divisor
    last = max(1, horizon.steps - 1)
    top = min(max(rise * horizon.steps - 1, 0), last - 1)

    def curve(step: int) -> float:
        if step <= top:
            return _cosine_between(start, 1, step / top if top else 1.0)
        return _cosine_between(1, end, min(1.0, (step - top) / (last - top)))

    return follow(optimizer, curve, "batch")


def multi_step(
    optimizer: Optimizer, horizon: Horizon, *, milestones: tuple[PositiveInt, ...], factor: Share = 0.1
) -> Schedule:
    """Multiply the rate by `factor` after each milestone.

    milestones: numbers of finished epochs; of optimizer steps if the run is counted in them (`trainer.steps`).
    """
    return follow(optimizer, lambda done: factor ** sum(done >= milestone for milestone in milestones), horizon.unit)


def reduce_on_plateau(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    factor: Share = 0.5,
    patience: NonNegativeInt = 3,
    min_delta: NonNegativeFloat = 1e-4,
    mode: Literal["max", "min"] = "max",
    min_lr: NonNegativeFloat = 1e-6,
) -> Schedule:
    """Multiply the rate by `factor` once the metric has not improved in more than `patience` evaluations.

    min_delta: the least change of the metric that counts as better.
    mode: "max" if a higher metric is better, as for Dice; "min" as for a loss.
    """
    floor = floor_of(optimizer, min_lr)
    floors = [floor * group["lr"] for group in optimizer.param_groups]
    plateau = ReduceLROnPlateau(
        optimizer, mode, factor, patience, threshold=min_delta, threshold_mode="abs", min_lr=floors, eps=0
    )
    return Schedule(plateau, "metric")


def constant(optimizer: Optimizer, horizon: Horizon) -> Schedule:
    """The learning rate that the optimizer was made with, to the end."""
    return follow(optimizer, lambda done: 1.0, horizon.unit)


def _whole_run_as_cycle(horizon: Horizon, warmup_epochs: float, warmup_steps: int) -> Cycle:
    """Return the whole run as one cycle. Raises `UserError` if the warm-up is as long as the run, or given twice."""
    if warmup_epochs and (warmup_steps or horizon.counts_steps):
        why = "warmup_steps says it already" if warmup_steps else "trainer.steps counts the run in steps"
        raise UserError(f"warmup_epochs: {why}; leave it out, and give warmup_steps alone")
    if warmup_epochs >= horizon.epochs and not horizon.counts_steps:
        raise UserError(f"warmup_epochs ({warmup_epochs:g}) must be less than the run's epochs ({horizon.epochs})")
    if warmup_steps >= horizon.steps:
        raise UserError(f"warmup_steps ({warmup_steps}) must be less than the run's steps ({horizon.steps})")
    warmup = warmup_steps or min(horizon.steps_in(warmup_epochs), horizon.steps - 1)
    return Cycle(0, 0, horizon.steps, warmup)


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULERS: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "custom_cawr": custom_cawr,
    "multi_step": multi_step,
    "one_cycle": one_cycle,
    "polynomial": polynomial,
    "reduce_on_plateau": reduce_on_plateau,
}
