"""A loss may be any function: in a mix, in half precision, over several processes, on one of several outputs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import pytest
import torch
from torch import Tensor

from loss import LOSSES
from loss.base import Gather, Loss, Outputs, sums_of, total
from loss.custom import FunctionLoss
from loss.mix import WeightedSum
from loss.pixel_blocks import Term
from loss.pixel_sums import PixelSums
from tests.losses import DeepSupervision, as_if_gathered, dissimilarity, ssim_like


def sample(dtype: torch.dtype = torch.float32, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(4, 3, size, size, generator=generator)
    return logits.to(dtype), torch.rand(4, 3, size, size, generator=generator) > 0.7


def gradient(loss: Loss, logits: Tensor, target: Tensor) -> Tensor:
    logits = logits.detach().requires_grad_()
    (found,) = torch.autograd.grad(loss(logits, target), logits)
    return found


def test_a_loss_that_is_not_a_sum_over_pixels_is_computed_and_falls_along_its_gradient() -> None:
    logits, target = sample()
    loss = ssim_like()
    assert list(loss.parts(logits, target)) == ["ssim"]
    before = loss(logits, target)
    slope = gradient(loss, logits, target)
    assert before.shape == ()
    assert loss(logits - 0.01 * slope / slope.abs().max(), target) < before


def test_gradients_are_those_of_the_function() -> None:
    logits, target = sample(torch.float64, size=4)
    assert torch.autograd.gradcheck(lambda z: ssim_like()(z, target), logits.requires_grad_())


def test_a_number_for_each_image_is_worth_their_mean() -> None:
    logits, target = sample()
    scalar = FunctionLoss("ssim", lambda logits, target: dissimilarity(logits, target).mean())
    assert scalar(logits, target) == ssim_like()(logits, target)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32_and_autocast_changes_nothing(dtype: torch.dtype) -> None:
    logits, target = sample(dtype)
    expected = gradient(ssim_like(), logits.float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = ssim_like()(logits, target)
        found = gradient(ssim_like(), logits, target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ssim_like()(logits.float(), target))
    assert torch.equal(found, expected.to(dtype))


def test_a_mix_joins_sums_over_pixels_and_other_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def counted(outputs: Outputs, target: Tensor, terms: Sequence[Term], gather: Gather | None) -> PixelSums:
        passes.append(len(terms))
        return sums_of(outputs, target, terms, gather)

    monkeypatch.setattr(import_module("loss.mix"), "sums_of", counted)
    logits, target = sample()
    inner = WeightedSum([(ssim_like(), 3.0), (LOSSES["dice"](), 1.0)])
    parts = WeightedSum([(LOSSES["dice_bce"](), 1.0), (ssim_like(), 0.5), (inner, 2.0)]).parts(logits, target)
    assert passes == [4], "one pass for all sums over pixels, however deep they stand"
    assert list(parts) == ["dice", "bce", "ssim", "ssim_2", "dice_2"]
    torch.testing.assert_close(parts["ssim"], 0.5 * ssim_like()(logits, target))
    torch.testing.assert_close(parts["ssim_2"], 6 * ssim_like()(logits, target))
    torch.testing.assert_close(parts["dice_2"], 2 * LOSSES["dice"]()(logits, target))


def test_a_mix_of_functions_alone_makes_no_pass_over_pixels() -> None:
    logits, target = sample()
    loss = WeightedSum([(ssim_like(), 2.0)])
    assert loss.terms == ()
    torch.testing.assert_close(loss(logits, target), 2 * ssim_like()(logits, target))


@pytest.mark.parametrize("whole_batch", [ssim_like(), WeightedSum([(LOSSES["dice_bce"](), 1.0), (ssim_like(), 0.5)])])
def test_two_processes_have_the_loss_of_the_whole_batch(whole_batch: Loss) -> None:
    logits, target = sample()
    shared = total(as_if_gathered(whole_batch, (logits[:2], target[:2]), (logits[2:], target[2:])))
    torch.testing.assert_close(shared, whole_batch(logits, target))
    assert not torch.isclose(shared, whole_batch(logits[:2], target[:2]))


@pytest.mark.parametrize("name", ["dice", "dice_bce"])
def test_of_several_outputs_the_first_is_read(name: str) -> None:
    logits, target = sample()
    coarse = torch.zeros(4, 3, 8, 8)
    for loss in (LOSSES[name](), ssim_like(), WeightedSum([(LOSSES[name](), 1.0), (ssim_like(), 1.0)])):
        assert loss([logits, coarse], target) == loss((logits,), target) == loss(logits, target)


def test_a_loss_may_read_every_output_and_be_part_of_a_mix() -> None:
    logits, target = sample()
    coarse = torch.zeros(4, 3, 8, 8)
    loss = WeightedSum([(LOSSES["bce"](), 1.0), (DeepSupervision(2), 0.5)])
    assert list(loss.parts([logits, coarse], target)) == ["bce", "dice_at_0", "dice_at_1"]
    assert list(loss.parts(logits, target)) == ["bce", "dice_at_0"]


def test_a_result_that_is_neither_a_number_nor_one_for_each_image_is_refused() -> None:
    loss = FunctionLoss("l1", lambda logits, target: (logits.sigmoid() - target).abs())
    expected = r"loss 'l1': its function returned the shape \[4, 3, 16, 16\]; .* one for each image, \[4\]"
    with pytest.raises(ValueError, match=expected):
        loss(*sample())


def test_the_name_of_the_sum_is_no_name_of_a_part() -> None:
    with pytest.raises(ValueError, match="Give this loss another name"):
        FunctionLoss("loss", dissimilarity)


def test_shapes_that_differ_are_refused() -> None:
    logits, target = sample()
    with pytest.raises(ValueError, match=r"logits \(4, 3, 16, 16\) and target \(4, 3, 8, 16\)"):
        ssim_like()(logits, target[:, :, :8])
