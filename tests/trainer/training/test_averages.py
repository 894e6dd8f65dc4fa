"""The equal average of epochs counts each alike, and continues from a saved state."""

from __future__ import annotations

import torch
from torch import nn

from trainer.training.averages import Swa


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
