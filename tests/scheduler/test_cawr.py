"""The warm restarts against their closed form, step by step over many cycles."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.optim import SGD

from scheduler import SCHEDULERS, Horizon, Schedule
from scheduler.cawr import WarmRestarts
from utils.errors import UserError

LR, MIN_LR = 0.1, 1e-3
CASES = [
    {"first_cycle": 50, "warmup": 10, "cycle_mult": 1.0, "decay": 1.0},
    {"first_cycle": 40, "warmup": 5, "cycle_mult": 2.0, "decay": 0.5},
    {"first_cycle": 33, "warmup": 0, "cycle_mult": 1.3, "decay": 0.9},
    {"first_cycle": 64, "warmup": 3, "cycle_mult": 0.7, "decay": 0.8},
    {"first_cycle": 1, "warmup": 0, "cycle_mult": 1.0, "decay": 1.0},
]


def closed_form(steps: int, first_cycle: int, warmup: int, cycle_mult: float, decay: float) -> list[float]:
    """Written as the definition reads, cycle after cycle."""
    rates: list[float] = []
    length, number = first_cycle, 0
    while len(rates) < steps:
        peak = max(MIN_LR, LR * decay**number)
        rates += [MIN_LR + (peak - MIN_LR) * step / warmup for step in range(warmup)]
        fall = length - warmup
        rates += [MIN_LR + (peak - MIN_LR) * (1 + math.cos(math.pi * step / fall)) / 2 for step in range(fall)]
        length, number = max(1, int((length - warmup) * cycle_mult)) + warmup, number + 1
    return rates[:steps]


def make(**params: object) -> tuple[SGD, Schedule]:
    optimizer = SGD([torch.nn.Parameter(torch.ones(1))], lr=LR)
    return optimizer, SCHEDULERS["custom_cawr"](optimizer, Horizon(10, 10), min_lr=MIN_LR, **params)


@pytest.mark.parametrize("case", CASES)
def test_rates_follow_the_closed_form(case: dict[str, float]) -> None:
    optimizer, schedule = make(**case)
    rates = []
    for _ in range(1000):
        rates += schedule.lrs
        optimizer.step()
        schedule.after_step()
    assert rates == pytest.approx(closed_form(1000, **case), rel=1e-12)  # type: ignore[arg-type]


def test_the_rise_starts_at_the_floor_and_ends_at_the_peak() -> None:
    curve = WarmRestarts(first_cycle=20, warmup=4, cycle_mult=1.0, floor=0.01, decay=0.5)
    assert [curve(0), curve(4), curve(20), curve(24)] == pytest.approx([0.01, 1.0, 0.01, 0.5])


def test_the_next_cycle_keeps_its_warmup_and_stretches_the_rest() -> None:
    curve = WarmRestarts(first_cycle=50, warmup=10, cycle_mult=1.5, floor=0.0, decay=1.0)
    starts = [curve.cycle_at(step).start for step in range(400)]
    assert sorted(set(starts)) == [0, 50, 120, 220, 365]
    assert [b - a for a, b in pairwise(sorted(set(starts)))] == [50, 70, 100, 145]


def test_a_decayed_peak_never_falls_below_the_floor() -> None:
    curve = WarmRestarts(first_cycle=5, warmup=2, cycle_mult=1.0, floor=0.1, decay=0.1)
    assert min(curve(step) for step in range(100)) >= 0.1


def test_by_epoch_it_moves_by_epoch() -> None:
    optimizer, schedule = make(first_cycle=10, warmup=2, unit="epoch")
    optimizer.step()
    schedule.after_step()
    assert schedule.lrs == [MIN_LR]
    schedule.after_epoch()
    assert schedule.lrs == pytest.approx([(LR + MIN_LR) / 2])


@pytest.mark.parametrize("warmup", [10, 11])
def test_a_warmup_that_fills_the_first_cycle_is_refused(warmup: int) -> None:
    with pytest.raises(UserError, match=rf"warmup \({warmup}\) must be less than first_cycle \(10\)"):
        make(first_cycle=10, warmup=warmup)
