"""The run writes the equal average of its last epochs, with its score."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from configs.schema import Config
from data.masks.packed import dice
from data.tasks import TASKS
from trainer.records.checkpoint import StateFiles, load_state, load_weights
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from trainer.split import find_split
from trainer.trained import load_trained
from utils.errors import UserError

Make = Callable[..., Config]
SWA = {"epochs": 3, "swa_from_epoch": 2, "evaluate_every": 3}


@pytest.mark.usefixtures("reports")
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
    assert told["mean_dice"] == swa.score
    assert f"{swa.score:.4f}</b><span>validation Dice, average of the last epochs" in folder.report.read_text()
    trained = load_trained(folder.swa_weights, torch.device("cpu"))
    valid = find_split(config).valid
    rows = [dice(mask, TASKS["hand_bone"].read(sample)[1], 29) for sample, mask in trained.predictor.masks(valid)]
    # A GPU scores in half precision, and the file is predicted on the CPU here.
    assert np.mean(rows) == pytest.approx(swa.score, abs=1e-3 if torch.cuda.is_available() else None)
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
