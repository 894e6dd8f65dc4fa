"""What every loss of the table promises, and the formulas that no other library has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from loss import LOSSES, Loss
from loss.base import total
from loss.mix import WeightedSum
from utils.config.component import component

PARAMS: dict[str, dict[str, Any]] = {
    "mix": {"parts": [{"loss": {"name": "focal", "gamma": 0.5, "alpha": 0.25}, "weight": 0.5}, {"loss": "tversky"}]},
    "deep_supervision": {"loss": {"name": "dice_bce"}, "weights": [0.8, 0.4]},
    "focal_tversky": {"gamma": 0.75},
    "soft_bce": {"smooth": 0.0, "positive_weight": 2.0},  # smoothed, it is lowest apart from saturated logits
}


def build(name: str, **params: Any) -> Loss:
    """Through the configuration's door, as a YAML file would."""
    loss: Loss = component("loss", lambda: LOSSES).read({"name": name, **PARAMS.get(name, {}), **params}).build()
    return loss


def sample(dtype: torch.dtype = torch.float32, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(2, 3, size, size, generator=generator)
    return logits.to(dtype), torch.rand(2, 3, size, size, generator=generator) > 0.7


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_along_its_gradient(name: str) -> None:
    logits, target = sample()
    loss = build(name)
    logits.requires_grad_()
    before = loss(logits, target)
    (gradient,) = torch.autograd.grad(before, logits)
    assert before.shape == ()
    assert before.dtype == torch.float32
    assert loss(logits - 0.01 * gradient / gradient.abs().max(), target) < before


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_gradients_are_exact(name: str, soft: bool) -> None:
    logits, target = sample(torch.float64, size=4)
    if soft:
        target = torch.rand(target.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    loss = build(name)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_give_finite_losses_and_gradients(name: str, dtype: torch.dtype) -> None:
    extremes = torch.tensor([6e4, -6e4, 30.0, -30.0, 1e-7, 0.0]).to(dtype)
    logits = extremes.repeat_interleave(2).repeat(2, 3, 8, 1).requires_grad_()
    target = torch.tensor([True, False]).repeat(6).expand(2, 3, 8, 12).clone()
    target[:, 0], target[:, 1] = False, True
    loss = build(name)(logits, target)
    (1024 * loss).backward()
    assert logits.grad is not None
    assert logits.grad.dtype == dtype
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("right", [True, False])
def test_saturated_predictions_give_finite_losses_and_gradients(name: str, right: bool) -> None:
    target = sample()[1]
    logits = torch.where(target == right, 6e4, -6e4).half().requires_grad_()
    loss = build(name)(logits, target)
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert loss < 1e-4 if right else loss > 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name: str) -> None:
    logits, target = sample(torch.bfloat16)
    plain = logits.clone().requires_grad_()
    build(name)(plain, target).backward()
    mixed = logits.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = build(name)(mixed, target)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(mixed.grad, plain.grad, rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_target_may_be_bool_uint8_or_float(name: str) -> None:
    logits, target = sample()
    values = [build(name)(logits, target.to(dtype)) for dtype in (torch.bool, torch.uint8, torch.float32)]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("name", LOSSES)
def test_parts_add_up_to_the_loss(name: str) -> None:
    logits, target = sample()
    loss = build(name)
    assert total(loss.parts(logits, target)) == loss(logits, target)


def test_a_mix_names_and_weighs_each_part() -> None:
    logits, target = sample()
    dice = {"loss": "dice", "weight": 2.0}
    per_image = {"loss": {"name": "dice", "per": "image"}}
    parts = build("mix", parts=[dice, per_image, {"loss": "dice_bce", "weight": 0.1}]).parts(logits, target)
    assert list(parts) == ["dice", "dice_2", "dice_3", "bce"]
    torch.testing.assert_close(parts["dice"], 2 * build("dice")(logits, target))
    torch.testing.assert_close(parts["dice_2"], build("dice", per="image")(logits, target))
    torch.testing.assert_close(parts["bce"], 0.05 * build("bce")(logits, target))


def test_a_mix_sums_each_term_once() -> None:
    parts = [{"loss": "dice"}, {"loss": "jaccard"}, {"loss": "dice_bce"}, {"loss": "bce"}]
    loss = build("mix", parts=parts)
    assert isinstance(loss, WeightedSum)
    assert len(loss.terms) == 4


def test_a_mix_of_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'dise' is not a loss\. Did you mean 'dice'"):
        build("mix", parts=[{"loss": "dise"}])


def test_dice_per_image_is_the_mean_over_images_and_classes() -> None:
    logits, target = sample()
    probability, truth = logits.sigmoid(), target.float()
    overlap, sizes = (probability * truth).sum((2, 3)), (probability + truth).sum((2, 3))
    torch.testing.assert_close(build("dice", per="image")(logits, target), (1 - 2 * overlap / sizes).mean())


def test_focal_tversky_focuses_on_each_class() -> None:
    logits, target = sample()
    alone = [build("tversky")(logits[:, [c]], target[:, [c]]) for c in range(3)]
    expected = torch.stack(alone).pow(1.5).mean()
    torch.testing.assert_close(build("focal_tversky", gamma=1.5)(logits, target), expected)


def test_an_absent_class_adds_nothing_to_overlap_losses() -> None:
    logits, target = sample()
    target[:, 1] = False
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(build("dice")(logits, target), logits)
    assert not gradient[:, 1].any()
    assert gradient[:, 0].any()


def test_shapes_that_differ_are_refused() -> None:
    logits, target = sample()
    with pytest.raises(ValueError, match=r"logits \(2, 3, 16, 16\) and target \(2, 3, 8, 16\)"):
        build("dice")(logits, target[:, :, :8])
