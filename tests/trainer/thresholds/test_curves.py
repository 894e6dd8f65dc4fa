"""Histograms give the Dice that masks give, at every threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.masks.binarize import logits_of
from data.masks.packed import dice, pack
from trainer.prediction.binarize import binarize
from trainer.thresholds.curves import THRESHOLDS, count_on_device, count_pixels, dice_curves

CLASSES = 11


def example(size_hw: tuple[int, int], native_hw: tuple[int, int]) -> tuple[torch.Tensor, np.ndarray]:
    """Logits from surely out to surely in, and a truth with an empty class."""
    rng = np.random.default_rng(3)
    logits = rng.normal(-1, 4, (CLASSES, *size_hw)).astype(np.float32)
    logits[:, : size_hw[0] // 2] *= 3
    logits[4] = -30
    truth = rng.random((*native_hw, CLASSES)) < 0.4
    truth[..., 4:6] = False
    return torch.from_numpy(logits), pack(truth)


@pytest.mark.parametrize("size_hw", [(13, 9), (40, 31), (64, 50)])
def test_dice_at_every_threshold_is_that_of_the_hardened_mask(size_hw: tuple[int, int]) -> None:
    logits, truth = example(size_hw, (40, 31))
    curves = dice_curves(logits, truth)
    assert curves.shape == (CLASSES, len(THRESHOLDS))
    for index, threshold in enumerate(THRESHOLDS):
        assert np.array_equal(curves[:, index], dice(binarize(logits, (40, 31), threshold), truth, CLASSES)), threshold
    assert (curves[4] == 1).all(), "absent from both sides"


def test_the_device_counts_as_the_cpu_does() -> None:
    logits, truth = example((64, 50), (64, 50))
    cuts = logits_of(THRESHOLDS, len(THRESHOLDS))
    counts = count_on_device(logits, truth, cuts)
    assert np.array_equal(counts, count_pixels(logits, truth, cuts))
    assert (counts[0].sum(axis=1) == 64 * 50).all()


def test_one_half_is_on_the_grid() -> None:
    assert 0.5 in THRESHOLDS
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
