"""SSIM and edge-weighted cross-entropy: hand cases, and another library's numbers."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from loss import LOSSES
from loss.neighbours import dissimilarity, edges_of


def sample(size: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    logits = 3 * torch.randn(2, 3, size, size, generator=generator)
    return logits, torch.rand(2, 3, size, size, generator=generator)


def ssim_by_opencv(first: Tensor, second: Tensor, sigma_px: float) -> float:
    """The mean SSIM of two maps at least 5 px from the border, from Gaussian blurs of another library."""
    x, y = first.double().numpy(), second.double().numpy()

    def blur(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), sigma_px))

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, both = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4) * (2 * both + 9e-4) / (var_x + var_y + 9e-4)
    return float(similar[5:-5, 5:-5].mean())


def test_ssim_is_that_of_its_formula() -> None:
    """The maps are framed by a broad border in which both are 0, as OpenCV treats the borders of images differently."""
    logits, target = torch.full((1, 1, 64, 64), -30.0), torch.zeros(1, 1, 64, 64)
    logits[..., 20:44, 20:44], target[..., 20:44, 20:44] = (values[0, 0] for values in sample())
    inside = ssim_by_opencv(logits[0, 0].sigmoid(), target[0, 0], 1.5)
    expected = (inside * 54**2 + 64**2 - 54**2) / 64**2
    assert 1 - float(dissimilarity(logits, target, 1.5)) == pytest.approx(expected, abs=1e-5)


def test_a_flat_shift_changes_the_means_alone() -> None:
    """Of two flat maps p and t the contrasts are equal, so SSIM is (2pt + c) / (p² + t² + c)."""
    target = torch.full((1, 1, 16, 16), 0.25)
    logits = torch.full((1, 1, 16, 16), math.log(0.5 / 0.5))
    expected = 1 - (2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4)
    assert float(LOSSES["ssim"]()(logits, target)) == pytest.approx(expected, abs=1e-5)


def test_a_thin_line_that_is_missing_weighs_more_in_ssim_than_in_cross_entropy() -> None:
    target = torch.zeros(1, 1, 48, 48)
    target[..., 20:21] = 1
    missed, found = torch.full_like(target, -8), torch.where(target > 0, 8.0, -8.0)
    for name, least in (("ssim", 0.15), ("iou", 0.9)):
        assert LOSSES[name]()(missed, target) - LOSSES[name]()(found, target) > least


def test_edges_of_a_step_are_steep_and_the_border_of_the_image_is_none() -> None:
    target = torch.zeros(1, 1, 6, 8)
    target[..., 4:] = 1
    row = edges_of(target, 0)[0, 0, 0]
    assert row.tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert edges_of(target, 1)[0, 0, 3].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert not edges_of(torch.ones(1, 1, 5, 5), 2).any()
    soft = torch.linspace(0, 1, 11).expand(1, 1, 5, 11)
    assert edges_of(soft, 0)[0, 0, 2, 5] == pytest.approx(0.2)


def test_an_edge_weighs_as_much_as_asked_for() -> None:
    logits, target = torch.zeros(1, 1, 6, 8), torch.zeros(1, 1, 6, 8)
    target[..., 4:] = 1
    logits[..., 3] = 2.0  # wrong, and at the edge
    right, wrong = math.log(2), math.log(1 + math.exp(2))
    expected = (6 * right + 5 * right + 5 * wrong) / (6 + 5 + 5)
    assert float(LOSSES["edge_bce"](weight=4, radius_px=0)(logits, target)) == pytest.approx(expected, rel=1e-5)
    plain = LOSSES["bce"]()(logits, target)
    torch.testing.assert_close(LOSSES["edge_bce"](weight=0)(logits, target), plain)


def test_iou_is_jaccard_of_each_image() -> None:
    logits, target = sample()
    torch.testing.assert_close(LOSSES["iou"]()(logits, target), LOSSES["jaccard"](per="image")(logits, target))
    hard = (target > 0.5).float()
    probability = logits.sigmoid()
    both = (probability * hard).sum((2, 3))
    expected = 1 - both / (probability.sum((2, 3)) + hard.sum((2, 3)) - both)
    torch.testing.assert_close(LOSSES["iou"]()(logits, hard), expected.mean())


@pytest.mark.parametrize("name", ["bce", "ssim", "edge_bce", "iou"])
def test_a_soft_target_is_met_best_by_itself(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    target = torch.rand(1, 1, 16, 16, generator=generator).clamp(0.02, 0.98)
    loss = LOSSES[name]()
    best = loss(target.logit(), target)
    for step in (-0.5, 0.5):
        assert loss(target.logit() + step, target) > best
    assert loss(torch.where(target > 0.5, 8.0, -8.0), target) > best
