from __future__ import annotations

import pytest
import torch

from trainer.training.meters import RunningMeans


def test_running_means_are_means_and_go_on_from_a_state() -> None:
    whole, first = RunningMeans(), RunningMeans()
    for means in (whole, first):
        means.add({"loss": torch.tensor(1.0)})
    second = RunningMeans()
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    for means in (whole, second):
        means.add({"loss": torch.tensor(4.0)})
    assert whole.read() == second.read() == {"loss": 2.5}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_batch_that_is_not_finite_is_known(bad: float) -> None:
    means = RunningMeans()
    means.add({"loss": torch.tensor(1.0), "bce": torch.tensor(1.0)})
    assert means.first_bad() is None
    for value in (bad, 1.0, bad):
        means.add({"loss": torch.tensor(1.0), "bce": torch.tensor(value)})
    assert means.first_bad() == 1
