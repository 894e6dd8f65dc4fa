from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch
from torch import nn

from tests.trainer.training.test_stepper import make_stepper
from tests.waits import NumbersRead
from trainer.training.early_stopping import EarlyStopping
from trainer.training.engine import Engine, TrainingPlan, are_finite
from trainer.training.meters import Reading


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["0.weight", "1.running_var", "1.bias"])
def test_one_number_that_is_not_finite_is_found(name: str, value: float) -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    model.register_buffer("empty", torch.zeros(0))
    with NumbersRead() as read:
        finite = are_finite(model)
    assert read.count == 0
    assert finite
    model.state_dict()[name].view(-1)[-1] = value
    assert not are_finite(model)


def make_engine() -> Engine:
    def nothing(*_: object) -> None:
        pass

    unused = cast(Any, None)
    return Engine(
        make_stepper(),
        unused,
        unused,
        EarlyStopping(),
        TrainingPlan(epochs=1),
        save_state=nothing,
        save_best=nothing,
        keep_weights=nothing,
        emit=nothing,
    )


def test_a_loss_is_read_when_the_device_has_come_so_far_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.training.engine.READ_LOSS_EVERY_S", 0)
    has_come = iter([False, False, True, False])
    monkeypatch.setattr(Reading, "is_there", lambda _: next(has_come))
    engine, losses = make_engine(), []
    for loss in (1.0, 2.0, 3.0, 4.0, 5.0):
        engine.means.add({"loss": torch.tensor(loss)})
        engine.batches_done += 1
        losses.append(engine.loss_if_due(batches=5))
    assert losses == [None, None, 1.0, None, 3.0]
