"""The equal average of the last epochs: its weights, its score, its file."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from configs.schema import Config
from data.masks.packed import dice
from data.tasks import TASKS
from trainer.records.checkpoint import StateFiles, load_state, load_weights
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from trainer.split import find_split
from trainer.trained import load_trained
from trainer.training.swa import Swa
from utils.errors import UserError

Make = Callable[..., Config]
SWA = {"epochs": 3, "swa_from_epoch": 2, "evaluate_every": 3}


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


def test_a_run_keeps_the_average_of_its_last_epochs_scored(make_config: Make) -> None:
    config = make_config(transform={"size_px": 32}, trainer=SWA, checkpoint={"keep": 9})
    folder = train(config, resume=False, command="")
    states = [load_state(path)["stepper"]["model"] for path in StateFiles(folder.checkpoints, keep=9).paths()]
    assert len(states) == 3
    swa = load_weights(folder.swa_weights)
    for name, tensor in swa.tensors.items():
        if "running" not in name and tensor.is_floating_point():
            assert torch.allclose(tensor, (states[0][name] + states[1][name]) / 2, atol=1e-6), name
    told = json.loads(folder.swa_validation.read_text())
    assert told["mean_dice"] == swa.dice
    assert f"{swa.dice:.4f}</b><span>validation Dice, average of the last epochs" in folder.report.read_text()
    trained = load_trained(folder.swa_weights, torch.device("cpu"))
    valid = find_split(config).valid
    rows = [dice(mask, TASKS["hand_bone"].read(sample)[1], 29) for sample, mask in trained.predictor.masks(valid)]
    assert np.mean(rows) == pytest.approx(swa.dice)
    tracked = [tensor for name, tensor in swa.tensors.items() if "num_batches_tracked" in name]
    assert {int(count) for count in tracked} == {4}, "statistics of its own, over an epoch of four batches"


def test_a_run_that_ends_before_says_so(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    config = make_config(transform={"size_px": 32}, trainer={**SWA, "fast_dev_run": True})
    folder = train(config, resume=False, command="")
    assert "the run ended before that epoch, so there is no average" in caplog.text
    assert not RunFolder(folder.path).swa_weights.exists()


def test_an_average_that_can_never_begin_is_refused(make_config: Make) -> None:
    with pytest.raises(UserError, match=r"trainer\.swa_from_epoch: expected 1 to 3, for trainer\.epochs is 3; got 4"):
        make_config(trainer={"epochs": 3, "swa_from_epoch": 4})
