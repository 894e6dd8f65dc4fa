from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.waits import NumbersRead
from trainer.training.engine import is_finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["0.weight", "1.running_var", "1.bias"])
def test_one_number_that_is_not_finite_is_found(name: str, value: float) -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    model.register_buffer("empty", torch.zeros(0))
    with NumbersRead() as read:
        assert is_finite(model)
    assert read.count == 1
    model.state_dict()[name].view(-1)[-1] = value
    assert not is_finite(model)
