"""Every schedule steps on its own unit, resumes exactly, and keeps the proportion of the groups."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.optim import SGD, Optimizer

from scheduler import SCHEDULERS, Horizon, Schedule
from utils.config.component import component
from utils.errors import UserError

EPOCHS, STEPS = 8, 5
METRICS = [0.1, 0.3, 0.3, 0.2, 0.3, 0.5, 0.5, 0.5]
PARAMS: dict[str, dict[str, Any]] = {
    "custom_cawr": {"first_cycle": 7, "warmup": 2, "cycle_mult": 1.5, "decay": 0.5},
    "multi_step": {"milestones": [2, 5]},
    "reduce_on_plateau": {"patience": 0},
    "cosine": {"warmup_epochs": 1.5},
    "polynomial": {"warmup_epochs": 1},
}


def make_optimizer(*lrs: float) -> Optimizer:
    return SGD([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in lrs or (0.1, 0.01)], momentum=0.9)


def make(name: str, optimizer: Optimizer, **params: Any) -> Schedule:
    """Through the configuration's door, as a YAML file would."""
    spec = component("scheduler", lambda: SCHEDULERS).read({"name": name, **PARAMS.get(name, {}), **params})
    schedule: Schedule = spec.build(optimizer, Horizon(EPOCHS, STEPS))
    return schedule


def run(schedule: Schedule, epochs: range, optimizer: Optimizer) -> list[list[float]]:
    """The rates of each step, and of the moment after each epoch."""
    rates = []
    for epoch in epochs:
        for _ in range(STEPS):
            rates.append(schedule.lrs)
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(METRICS[epoch])
        rates.append(schedule.lrs)
    return rates


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_moves_on_its_unit_alone(name: str) -> None:
    optimizer = make_optimizer()
    schedule = make(name, optimizer)
    rates = run(schedule, range(EPOCHS), optimizer)
    per_epoch = [rates[i : i + STEPS + 1] for i in range(0, len(rates), STEPS + 1)]
    if schedule.unit == "batch":
        assert all(epoch[-1] == following[0] for epoch, following in pairwise(per_epoch))
    else:
        assert all(epoch[0] == rate for epoch in per_epoch for rate in epoch[:-1])
    moved = len({tuple(rate) for rate in rates}) > 1
    assert moved == (name != "constant")


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_resumed_run_is_the_uninterrupted_one(name: str, optimizer_first: bool) -> None:
    optimizer = make_optimizer()
    schedule = make(name, optimizer)
    run(schedule, range(3), optimizer)
    optimizer.step()
    schedule.after_step()
    saved = io.BytesIO()
    torch.save((optimizer.state_dict(), schedule.state_dict()), saved)
    expected = run(schedule, range(3, EPOCHS), optimizer)

    saved.seek(0)
    of_optimizer, of_schedule = torch.load(saved, weights_only=True)
    optimizer = make_optimizer()
    schedule = make(name, optimizer)
    for load in (0, 1) if optimizer_first else (1, 0):
        (optimizer.load_state_dict, schedule.load_state_dict)[load]((of_optimizer, of_schedule)[load])
    assert run(schedule, range(3, EPOCHS), optimizer) == expected


@pytest.mark.parametrize("name", SCHEDULERS)
def test_groups_keep_their_proportion(name: str) -> None:
    optimizer = make_optimizer(0.1, 0.01, 0.0)
    for high, low, frozen in run(make(name, optimizer), range(EPOCHS), optimizer):
        assert low == pytest.approx(high / 10, rel=1e-12)
        assert frozen == 0


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_run_may_go_on_past_its_horizon(name: str) -> None:
    optimizer = make_optimizer()
    schedule = make(name, optimizer)
    for _ in range(3):
        run(schedule, range(EPOCHS), optimizer)
    assert all(rate > 0 and math.isfinite(rate) for rate in schedule.lrs)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs_have_a_schedule(name: str, steps: int) -> None:
    optimizer = make_optimizer()
    params = {"warmup_epochs": 0} if name in ("cosine", "polynomial") else {}
    spec = component("scheduler", lambda: SCHEDULERS).read({"name": name, **PARAMS.get(name, {}), **params})
    schedule = spec.build(optimizer, Horizon(1, steps))
    for _ in range(steps):
        assert 0 <= schedule.lrs[0] <= 0.1
        optimizer.step()
        schedule.after_step()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_epoch_without_a_taken_step_warns_of_nothing(name: str) -> None:
    make(name, make_optimizer()).after_epoch(0.5)


@pytest.mark.parametrize("name", ["custom_cawr", "cosine", "polynomial", "reduce_on_plateau"])
def test_a_floor_above_the_rate_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"min_lr \(1\) must not exceed the optimizer's learning rate \(0\.1\)"):
        make(name, make_optimizer(), min_lr=1.0)


@pytest.mark.parametrize("name", ["cosine", "polynomial"])
def test_a_warmup_as_long_as_the_run_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"warmup_epochs \(8\) must be less than the run's epochs \(8\)"):
        make(name, make_optimizer(), warmup_epochs=8)


@pytest.mark.parametrize("name", ["cosine", "polynomial"])
def test_a_warmup_in_steps_is_that_in_epochs(name: str) -> None:
    optimizers = make_optimizer(), make_optimizer()
    in_steps = make(name, optimizers[0], warmup_epochs=0, warmup_steps=STEPS)
    in_epochs = make(name, optimizers[1], warmup_epochs=1)
    assert run(in_steps, range(EPOCHS), optimizers[0]) == run(in_epochs, range(EPOCHS), optimizers[1])
    with pytest.raises(UserError, match=r"warmup_epochs: warmup_steps says it already; leave it out"):
        make(name, make_optimizer(), warmup_epochs=1, warmup_steps=1)
    with pytest.raises(UserError, match=rf"warmup_steps \({EPOCHS * STEPS}\) must be less than the run's steps"):
        make(name, make_optimizer(), warmup_epochs=0, warmup_steps=EPOCHS * STEPS)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_run_that_is_counted_in_steps_has_the_same_curve_and_moves_by_no_epoch(name: str) -> None:
    in_epochs: dict[str, dict[str, Any]] = {
        "cosine": {"warmup_epochs": 1},
        "polynomial": {"warmup_epochs": 1},
        "multi_step": {"milestones": [3]},
    }
    in_steps: dict[str, dict[str, Any]] = {
        "cosine": {"warmup_epochs": 0, "warmup_steps": STEPS},
        "polynomial": {"warmup_epochs": 0, "warmup_steps": STEPS},
        "multi_step": {"milestones": [3 * STEPS]},
    }
    rates = []
    for params, horizon in (
        (in_epochs, Horizon(EPOCHS, STEPS)),
        (in_steps, Horizon.of(EPOCHS * STEPS, 7, counts_steps=True)),
    ):
        optimizer = make_optimizer()
        spec = component("scheduler", lambda: SCHEDULERS).read(
            {"name": name, **PARAMS.get(name, {}), **params.get(name, {})}
        )
        schedule = spec.build(optimizer, horizon)
        if horizon.counts_steps and schedule.unit == "epoch":
            return  # refused when a run is built
        rates.append(run(schedule, range(EPOCHS), optimizer))
    assert rates[0] == rates[1]


def test_lengths_in_epochs_are_refused_if_steps_are_counted() -> None:
    horizon = Horizon.of(100, 10, counts_steps=True)
    with pytest.raises(
        UserError, match=r"warmup_epochs: trainer\.steps counts the run in steps; leave it out, and give"
    ):
        SCHEDULERS["cosine"](make_optimizer(), horizon, warmup_epochs=1)
    with pytest.raises(UserError, match=r"unit: the run is counted in steps \(trainer\.steps\), so write unit: batch"):
        SCHEDULERS["custom_cawr"](make_optimizer(), horizon, first_cycle=5, unit="epoch")


def test_cosine_is_torchs() -> None:
    ours, theirs = make_optimizer(0.1), make_optimizer(0.1)
    schedule = make("cosine", ours, warmup_epochs=0, min_lr=1e-3)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, EPOCHS * STEPS, eta_min=1e-3)
    for _ in range(EPOCHS * STEPS):
        assert schedule.lrs == pytest.approx(reference.get_last_lr(), rel=1e-9)
        ours.step()
        schedule.after_step()
        theirs.step()
        reference.step()


@pytest.mark.parametrize("rise", [0.1, 0.3, 0.5])
def test_one_cycle_is_torchs(rise: float) -> None:
    ours, theirs = make_optimizer(0.1), make_optimizer(0.1)
    schedule = make("one_cycle", ours, rise=rise)
    reference = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.1, EPOCHS * STEPS, pct_start=rise, cycle_momentum=False)
    for _ in range(EPOCHS * STEPS):
        assert schedule.lrs == pytest.approx(reference.get_last_lr(), rel=1e-9)
        ours.step()
        schedule.after_step()
        theirs.step()
        reference.step()


def test_polynomial_is_torchs() -> None:
    ours, theirs = make_optimizer(0.1), make_optimizer(0.1)
    schedule = make("polynomial", ours, warmup_epochs=0, min_lr=0, power=0.9)
    reference = torch.optim.lr_scheduler.PolynomialLR(theirs, EPOCHS * STEPS, power=0.9)
    for _ in range(EPOCHS * STEPS):
        assert schedule.lrs == pytest.approx(reference.get_last_lr(), rel=1e-9)
        ours.step()
        schedule.after_step()
        theirs.step()
        reference.step()


def test_multi_step_drops_after_each_milestone() -> None:
    optimizer = make_optimizer(1.0)
    schedule = make("multi_step", optimizer, milestones=[2, 5], factor=0.1)
    run(schedule, range(2), optimizer)
    assert schedule.lrs == pytest.approx([0.1])
    run(schedule, range(2, 5), optimizer)
    assert schedule.lrs == pytest.approx([0.01])


def test_a_plateau_lowers_the_rate_down_to_the_floor_and_ignores_unevaluated_epochs() -> None:
    schedule = make("reduce_on_plateau", make_optimizer(1.0), patience=1, factor=0.5, min_lr=0.3)
    for metric, rate in [(0.5, 1.0), (0.5, 1.0), (None, 1.0), (0.4, 0.5), (0.6, 0.5), (0.6, 0.5), (0.6, 0.3)]:
        schedule.after_epoch(metric)
        assert schedule.lrs == [rate]


def test_a_plateau_of_a_loss_looks_for_the_minimum() -> None:
    schedule = make("reduce_on_plateau", make_optimizer(1.0), patience=0, mode="min")
    for metric, rate in [(0.5, 1.0), (0.4, 1.0), (0.6, 0.5)]:
        schedule.after_epoch(metric)
        assert schedule.lrs == [rate]


def test_a_run_has_at_least_one_step() -> None:
    with pytest.raises(ValueError, match="at least one epoch of one step"):
        Horizon(1, 0)
