"""Our losses give the values and gradients of segmentation-models-pytorch, wherever it has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from loss import LOSSES, Loss

CASES: dict[str, tuple[Callable[[], Loss], str, dict[str, Any]]] = {
    "bce": (lambda: LOSSES["bce"](), "SoftBCEWithLogitsLoss", {}),
    "soft_bce": (lambda: LOSSES["soft_bce"](smooth=0.2), "SoftBCEWithLogitsLoss", {"smooth_factor": 0.2}),
    "soft_bce weighted": (
        lambda: LOSSES["soft_bce"](positive_weight=3.0),
        "SoftBCEWithLogitsLoss",
        {"smooth_factor": 0.1, "pos_weight": torch.tensor(3.0)},
    ),
    "dice": (lambda: LOSSES["dice"](), "DiceLoss", {}),
    "dice smooth": (lambda: LOSSES["dice"](smooth=3.0), "DiceLoss", {"smooth": 3.0}),
    "jaccard": (lambda: LOSSES["jaccard"](), "JaccardLoss", {}),
    "focal": (lambda: LOSSES["focal"](), "FocalLoss", {}),
    "focal alpha": (lambda: LOSSES["focal"](gamma=1.5, alpha=0.25), "FocalLoss", {"gamma": 1.5, "alpha": 0.25}),
    "tversky": (lambda: LOSSES["tversky"](), "TverskyLoss", {"alpha": 0.3, "beta": 0.7}),
    "focal_tversky": (
        lambda: LOSSES["focal_tversky"](gamma=1.5, focus="mean"),
        "TverskyLoss",
        {"alpha": 0.3, "beta": 0.7, "gamma": 1.5},
    ),
}


def theirs(name: str, params: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    import segmentation_models_pytorch as smp

    mode = () if name == "SoftBCEWithLogitsLoss" else ("multilabel",)
    loss: Callable[[Tensor, Tensor], Tensor] = getattr(smp.losses, name)(*mode, **params)
    return loss


def sample(soft: bool = False) -> tuple[Tensor, Tensor]:
    """Logits and a target with an absent class."""
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(2, 5, 33, 47, generator=generator)
    target = torch.rand(2, 5, 33, 47, generator=generator)
    target = target if soft else (target > 0.8).float()
    target[:, 2] = 0
    return logits, target


def value_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert logits.grad is not None
    return value.detach(), logits.grad


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_smp(case: str, memory_format: torch.memory_format) -> None:
    ours, name, params = CASES[case]
    logits, target = sample()
    expected, expected_gradient = value_and_gradient(theirs(name, params), logits, target)
    logits = logits.contiguous(memory_format=memory_format)
    value, gradient = value_and_gradient(ours(), logits, target.to(torch.uint8))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_soft_targets_too(case: str) -> None:
    ours, name, params = CASES[case]
    logits, target = sample(soft=True)
    expected, expected_gradient = value_and_gradient(theirs(name, params), logits, target)
    value, gradient = value_and_gradient(ours(), logits, target)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-9)


def test_dice_bce_is_the_weighted_sum_of_both() -> None:
    logits, target = sample()
    dice, bce = theirs("DiceLoss", {})(logits, target), theirs("SoftBCEWithLogitsLoss", {})(logits, target)
    ours = LOSSES["dice_bce"](dice_weight=0.7, bce_weight=0.3)(logits, target.bool())
    torch.testing.assert_close(ours, 0.7 * dice + 0.3 * bce)


@pytest.mark.parametrize("per", ["batch", "image"])
def test_mcc_is_the_mean_of_smp_over_classes(per: str) -> None:
    """SMP takes probabilities of one class at a time; the class without a pixel in the target adds nothing."""
    logits, target = sample()
    logits.requires_grad_()
    images = [slice(None)] if per == "batch" else [slice(index, index + 1) for index in range(2)]
    found = [1 - theirs_of_one("MCCLoss", logits[i, c].sigmoid(), target[i, c]) for i in images for c in (0, 1, 3, 4)]
    expected = (len(found) - torch.stack(found).sum()) / (len(images) * 5)
    value, gradient = value_and_gradient(LOSSES["mcc"](per=per), logits, target.bool())
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-9)


def test_lovasz_hinge_is_the_mean_of_smp_over_images_and_classes() -> None:
    logits, target = sample()
    logits.requires_grad_()
    params = {"mode": "binary", "per_image": True}
    of_classes = [theirs_of_one("LovaszLoss", logits[:, c], target[:, c], **params) for c in (0, 1, 3, 4)]
    expected = torch.stack(of_classes).sum() / 5
    value, gradient = value_and_gradient(LOSSES["lovasz"](errors="hinge"), logits, target.to(torch.uint8))
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-7)


def theirs_of_one(name: str, prediction: Tensor, target: Tensor, **params: Any) -> Tensor:
    import segmentation_models_pytorch as smp

    value: Tensor = getattr(smp.losses, name)(**params)(prediction, target)
    return value
