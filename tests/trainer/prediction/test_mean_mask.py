"""The mask of a mean that is computed in boxes is that of the mean of whole images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data.masks.packed import unpack_planes
from trainer.prediction.decode import add_probabilities
from trainer.prediction.mean_mask import mean_mask, mean_mask_on_device, span

CLASSES = 11
SIZES = [(12, 10), (24, 20), (7, 31)]
"""Of the networks' outputs: each resized in another way."""


def blobs(size_hw: tuple[int, int], seed: int, level: float = 0.0) -> Tensor:
    """Smooth logits float32[C, h, w], as networks give; of high `level` most pixels are inside."""
    noise = torch.randn((1, CLASSES, 4, 4), generator=torch.Generator().manual_seed(seed))
    smooth: Tensor = F.interpolate(noise, size_hw, mode="bicubic")[0] * 4
    return smooth + level


def shares(networks: int) -> list[np.ndarray]:
    """float32[C] of each, which differ between classes and sum to 1."""
    counts = np.random.default_rng(0).integers(1, 9, (networks, CLASSES))
    return list((counts / counts.sum(axis=0)).astype(np.float32))


def mean_of(logits: list[Tensor], counted: list[np.ndarray], size_hw: tuple[int, int]) -> np.ndarray:
    """The usual way, float64[C, H, W]."""
    parts = [
        F.interpolate(of[None], size_hw, mode="bilinear")[0].sigmoid().double().numpy() * share[:, None, None]
        for of, share in zip(logits, counted, strict=True)
    ]
    return np.asarray(np.sum(parts, axis=0))


@pytest.mark.parametrize("size_hw", [(24, 20), (48, 40), (33, 57), (9, 8), (1, 1)])
@pytest.mark.parametrize("level", [-6.0, -2.0, 0.0, 5.0])
def test_pixels_are_those_of_the_mean_of_whole_images(size_hw: tuple[int, int], level: float) -> None:
    logits = [blobs(shape, seed, level) for seed, shape in enumerate(SIZES)]
    counted, levels_C = shares(3), np.linspace(0.1, 0.9, CLASSES).astype(np.float32)
    planes = unpack_planes(mean_mask(logits, counted, size_hw, levels_C), CLASSES)
    difference = mean_of(logits, counted, size_hw) - levels_C[:, None, None]
    sure = np.abs(difference) > 1e-6
    assert sure.mean() > 0.99
    assert np.array_equal(planes[sure], (difference > 0)[sure])


@pytest.mark.parametrize("size_hw", [(24, 20), (33, 57)])
def test_a_device_packs_the_bits_of_a_sum_of_all_classes(size_hw: tuple[int, int]) -> None:
    logits, counted = [blobs(shape, seed) for seed, shape in enumerate(SIZES)], shares(3)
    levels_C = np.linspace(0.1, 0.9, CLASSES).astype(np.float32)
    whole = torch.zeros((CLASSES, *size_hw))
    for logits_Chw, share_C in zip(logits, counted, strict=True):
        add_probabilities(whole, logits_Chw, share_C)
    packed = mean_mask_on_device(logits, counted, size_hw, levels_C).numpy()
    assert np.array_equal(unpack_planes(packed, CLASSES), (whole > torch.from_numpy(levels_C)[:, None, None]).numpy())


def test_networks_that_agree_give_the_mask_of_one() -> None:
    logits, half = blobs((24, 20), 0), np.full(CLASSES, 0.5, np.float32)
    planes = unpack_planes(mean_mask([logits] * 2, [half, half], (24, 20), half), CLASSES)
    assert np.array_equal(planes, (logits > 0).numpy())


def test_the_logits_that_are_given_are_left_alone() -> None:
    logits = [blobs((12, 10), 0), blobs((12, 10), 1)]
    before = [of.clone() for of in logits]
    mean_mask(logits, shares(2), (24, 20), np.full(CLASSES, 0.4, np.float32))
    assert all(torch.equal(of, was) for of, was in zip(logits, before, strict=True))


def test_a_value_that_is_no_number_hides_no_other_pixel() -> None:
    logits, half = torch.full((CLASSES, 12, 10), 3.0), np.full(CLASSES, 0.5, np.float32)
    logits[:, 0, 0] = torch.nan
    planes = unpack_planes(mean_mask([logits] * 2, [half, half], (12, 10), half), CLASSES)
    expected = np.ones((12, 10), np.bool_)
    expected[0, 0] = False
    assert (planes == expected).all()


def test_where_no_network_sees_a_class_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = torch.full((CLASSES, 12, 10), -9.0)
    monkeypatch.delattr("trainer.prediction.mean_mask.Source.counted")
    assert not mean_mask([absent] * 2, shares(2), (24, 20), np.full(CLASSES, 0.3, np.float32)).any()


def test_a_box_reaches_from_the_first_to_the_last() -> None:
    assert span(np.array([False, True, False, True, False])) == slice(1, 4)
