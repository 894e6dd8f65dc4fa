"""Shared batch normalisation is that of the whole batch; two processes that differ are in tests/trainer/distributed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from models.sync_batch_norm import SharedBatchNorm


@pytest.fixture
def two_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a layer believe that another process has the same images."""

    def all_gather(of_all: Tensor, own: Tensor) -> None:
        of_all.copy_(torch.cat([own, own]))

    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_gather_into_tensor", all_gather)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda own: own.mul_(2))


def relative(found: Tensor | None, expected: Tensor | None) -> float:
    assert found is not None
    assert expected is not None
    return float((found.double() - expected).detach().norm() / expected.detach().norm())


@pytest.mark.usefixtures("two_alike")
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.float16, 1e-3), (torch.bfloat16, 5e-3)])
@pytest.mark.parametrize("affine", [False, True])
def test_outputs_gradients_and_statistics_are_those_of_the_whole_batch(
    dtype: torch.dtype, error: float, affine: bool
) -> None:
    torch.manual_seed(0)
    whole = nn.BatchNorm2d(5, affine=affine).double()
    if affine:
        nn.init.uniform_(whole.weight, -1, 2)
        nn.init.normal_(whole.bias)
    shared = SharedBatchNorm(copy.deepcopy(whole).float())
    values, slope = (torch.randn(3, 5, 8, 6).add(number).to(dtype) for number in (1, 0))
    own = values.to(memory_format=torch.channels_last).requires_grad_()
    result = shared(own)
    result.backward(slope)
    batch = torch.cat([values, values]).double().requires_grad_()
    expected = whole(batch)
    expected.backward(torch.cat([slope, slope]).double())
    assert result.dtype == dtype
    assert relative(torch.cat([result, result]), expected) < error
    assert own.grad is not None
    assert relative(torch.cat([own.grad, own.grad]), batch.grad) < error
    for name in ("running_mean", "running_var"):
        assert relative(getattr(shared, name), getattr(whole, name)) < 1e-6
    if affine:
        for parameter, of_whole in zip(shared.parameters(), whole.parameters(), strict=True):
            assert parameter.grad is not None
            assert relative(2 * parameter.grad, of_whole.grad) < error


@pytest.mark.usefixtures("two_alike")
def test_without_momentum_all_batches_count_alike() -> None:
    shared = SharedBatchNorm(nn.BatchNorm1d(2, momentum=None))
    batches = [torch.randn(4, 2, generator=torch.Generator().manual_seed(number)) for number in range(3)]
    for batch in batches:
        shared(batch)
    assert shared.running_mean is not None
    torch.testing.assert_close(shared.running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0))
