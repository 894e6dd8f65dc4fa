from __future__ import annotations

import math

import pytest
import torch

from tests.waits import NumbersRead
from trainer.training.meters import Reading, RunningMeans


def test_running_means_are_means_and_go_on_from_a_state() -> None:
    whole, first = RunningMeans(), RunningMeans()
    for means in (whole, first):
        means.add({"loss": torch.tensor(1.0)})
    second = RunningMeans()
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    for means in (whole, second):
        means.add({"loss": torch.tensor(4.0)})
    assert whole.read() == second.read() == {"loss": 2.5}


def reading_of(means: RunningMeans, *, finite: bool = True) -> Reading:
    return Reading(means, torch.tensor(finite))


def test_a_reading_says_how_the_training_stood_then() -> None:
    means = RunningMeans()
    assert reading_of(means).first_bad() is None
    for loss in (1.0, 4.0):
        means.add({"loss": torch.tensor(loss), "bce": torch.tensor(2 * loss)})
    with NumbersRead() as read:
        reading = reading_of(means)
    assert read.count == 0
    means.add({"loss": torch.tensor(math.nan), "bce": torch.tensor(1.0)})
    assert (reading.mean("loss"), reading.mean("bce"), reading.first_bad()) == (2.5, 5.0, None)
    assert reading.weights_are_finite()
    assert not reading_of(means, finite=False).weights_are_finite()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_batch_that_is_not_finite_is_known(bad: float) -> None:
    means = RunningMeans()
    means.add({"loss": torch.tensor(1.0), "bce": torch.tensor(1.0)})
    assert reading_of(means).first_bad() is None
    for value in (bad, 1.0, bad):
        means.add({"loss": torch.tensor(1.0), "bce": torch.tensor(value)})
    assert reading_of(means).first_bad() == 1
