"""Supervision of several outputs: any loss on each, weights, sizes, and maps of features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loss import LOSSES, Loss
from loss.base import total
from loss.deep import DeepSupervision, FeatureSupervision
from tests.losses import as_if_gathered
from utils.config.component import component
from utils.errors import UserError


def build(**params: Any) -> Loss:
    loss: Loss = component("loss", lambda: LOSSES).read({"name": "deep_supervision", **params}).build()
    return loss


def sample() -> tuple[list[Tensor], Tensor]:
    """Three outputs, the last of half the size, and a soft target."""
    generator = torch.Generator().manual_seed(5)
    logits = [3 * torch.randn(2, 1, side, side, generator=generator) for side in (16, 16, 8)]
    return logits, torch.rand(2, 1, 16, 16, generator=generator)


@pytest.mark.parametrize("name", ["bce", "ssim", {"name": "mix", "parts": [{"loss": "dice"}, {"loss": "edge_bce"}]}])
def test_any_loss_is_added_up_over_the_outputs_with_their_weights(name: Any) -> None:
    logits, target = sample()
    alone: Loss = component("loss", lambda: LOSSES).read(name).build()
    half = F.avg_pool2d(target, 2)
    expected = alone(logits[0], target) + 0.5 * alone(logits[1], target) + 0.25 * alone(logits[2], half)
    torch.testing.assert_close(build(loss=name, weights=[1, 0.5, 0.25])(logits, target), expected)


def test_parts_are_named_by_the_number_of_the_output_and_weights_are_1_by_default() -> None:
    logits, target = sample()
    parts = build(loss="dice_bce").parts(logits, target)
    assert list(parts) == ["dice", "bce", "dice_1", "bce_1", "dice_2", "bce_2"]
    torch.testing.assert_close(parts["bce_1"], LOSSES["dice_bce"]().parts(logits[1], target)["bce"])


def test_a_single_output_is_the_prediction() -> None:
    (first, *_), target = sample()
    loss = build(loss="bce", weights=[0.5, 9, 9])
    torch.testing.assert_close(loss(first, target), 0.5 * LOSSES["bce"]()(first, target))


def test_other_numbers_of_weights_and_outputs_are_refused() -> None:
    logits, target = sample()
    with pytest.raises(UserError, match=r"loss\.weights: 2 weights, but the network returns 3 outputs\. Write one for"):
        build(loss="bce", weights=[1, 1])(logits, target)


def test_a_hard_target_becomes_a_share_at_half_the_size() -> None:
    target = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    target[..., :3] = True
    logits = torch.tensor([9.0, 0.0]).expand(1, 1, 2, 2)
    loss = DeepSupervision(LOSSES["bce"](), [0, 1])([torch.zeros(1, 1, 4, 4), logits], target)
    assert float(loss) == pytest.approx(float(F.binary_cross_entropy_with_logits(
        logits, torch.tensor([1.0, 0.5]).expand(1, 1, 2, 2)
    )))  # fmt: skip


def teacher(target: Tensor) -> list[Tensor]:
    return [target.float(), F.avg_pool2d(target.float(), 2)]


def test_the_last_outputs_are_compared_with_the_maps_and_the_others_go_to_the_loss() -> None:
    logits, target = sample()
    maps = [target + 0.1, F.avg_pool2d(target, 2) - 0.2]
    loss = FeatureSupervision(DeepSupervision(LOSSES["bce"]()), teacher, weight=2.0)
    parts = loss.parts([*logits, *maps], target)
    assert list(parts) == ["bce", "bce_1", "bce_2", "features"]
    assert float(parts["features"]) == pytest.approx(2 * (0.01 + 0.04), rel=1e-4)
    torch.testing.assert_close(parts["bce"], LOSSES["bce"]()(logits[0], target))
    assert list(loss.parts(logits[0], target)) == ["bce"], "validation gives the prediction alone"


def test_two_processes_have_the_loss_of_the_whole_batch() -> None:
    logits, target = sample()
    outputs = [*logits, target + 0.1, F.avg_pool2d(target, 2) * 0.5]
    loss = FeatureSupervision(DeepSupervision(LOSSES["ssim"]()), teacher)
    own, others = ([[output[[i]] for output in outputs], target[[i]]] for i in (0, 1))
    shared = as_if_gathered(loss, (own[0], own[1]), (others[0], others[1]))  # type: ignore[arg-type]
    torch.testing.assert_close(total(shared), loss(outputs, target))
