"""Averages of weights: each epoch counts alike, the moving one follows its formula, both continue from a state."""

from __future__ import annotations

import copy

import torch
from torch import nn

from tests.waits import NumbersRead
from trainer.training.averages import Ema, Swa


def test_each_epoch_from_the_first_on_counts_alike() -> None:
    swa, model = Swa(first_epoch=2), nn.BatchNorm1d(2)
    for epoch, value in enumerate([9.0, 9.0, 1.0, 2.0, 6.0]):
        nn.init.constant_(model.weight, value)
        assert model.num_batches_tracked is not None
        model.num_batches_tracked.fill_(epoch)
        swa.after_epoch(model, epoch)
    assert swa.count == 3
    averaged = swa.network(model)
    assert isinstance(averaged, nn.BatchNorm1d)
    assert torch.allclose(averaged.weight, torch.full((2,), 3.0))
    assert averaged.num_batches_tracked == 4
    assert torch.equal(model.weight, torch.full((2,), 6.0)), "the network that learns is left alone"


def test_an_average_goes_on_where_it_was() -> None:
    whole, parts, model = Swa(0), Swa(0), nn.Conv2d(1, 3, 3)
    for epoch in range(4):
        nn.init.normal_(model.weight)
        whole.after_epoch(model, epoch)
        resumed = Swa(0)
        resumed.load_state_dict(parts.state_dict())
        resumed.after_epoch(model, epoch)
        parts = resumed
    assert all(torch.equal(tensor, parts.average[name]) for name, tensor in whole.average.items())


def changed(model: nn.Module, step: int) -> None:
    """Change all weights and statistics, as a training step does."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else 1)


def test_the_moving_average_follows_its_formula_bit_for_bit() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    expected, ema = copy.deepcopy(model.state_dict()), Ema(model, 0.5)
    for step in range(1, 9):
        changed(model, step)
        with NumbersRead() as read:
            ema.update(model)
        assert read.count == 0
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            expected[name] = (
                torch.lerp(expected[name], value, 1 - decay) if value.is_floating_point() else value.clone()
            )
    found = ema.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert found["1.num_batches_tracked"] == 8


def test_a_moving_average_goes_on_where_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    whole, part = Ema(model, 0.999), Ema(model, 0.999)
    for step in range(6):
        changed(model, step)
        whole.update(model)
        resumed = Ema(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)), 0.999)
        resumed.load_state_dict({"steps": part.steps, "model": part.model.state_dict()})
        resumed.update(model)
        part = resumed
    assert all(torch.equal(tensor, part.model.state_dict()[name]) for name, tensor in whole.model.state_dict().items())
    assert part.state_dict().keys() == {"steps", "model"}, "states of earlier versions have these"
