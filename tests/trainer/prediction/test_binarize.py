from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data.masks.binarize import logits_of
from data.masks.packed import unpack_planes
from trainer.prediction.binarize import binarize, packed_on_device

SIZES = [(12, 10), (33, 40), (48, 40), (12, 40), (5, 7), (1, 1), (13, 9)]


def noise(classes: int, height: int = 12, width: int = 10) -> Tensor:
    return torch.randn((classes, height, width), generator=torch.Generator().manual_seed(classes))


def blobs(classes: int) -> Tensor:
    """Smooth logits, as networks give: most cells lie wholly inside or outside a mask."""
    smooth: Tensor = F.interpolate(noise(classes, 3, 3)[None], (24, 20), mode="bicubic")
    return smooth[0]


def expected(logits: Tensor, size_hw: tuple[int, int], threshold: float) -> np.ndarray:
    """The usual way, bool[C, H, W]."""
    resized = F.interpolate(logits[None].float(), size_hw, mode="bilinear", align_corners=False)[0]
    return np.asarray((resized.sigmoid() > threshold).numpy())


@pytest.mark.parametrize("classes", [1, 7, 8, 9, 29])
@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.9])
def test_hardening_is_the_sigmoid_of_resized_logits_above_the_threshold(classes: int, threshold: float) -> None:
    for logits in (noise(classes), blobs(classes)):
        packed = binarize(logits, (33, 40), threshold)
        assert packed.shape == (33, 40, -(-classes // 8))
        assert np.array_equal(unpack_planes(packed, classes), expected(logits, (33, 40), threshold))


@pytest.mark.parametrize("size_hw", SIZES)
def test_it_resizes_to_any_size_up_or_down(size_hw: tuple[int, int]) -> None:
    for logits in (noise(5), blobs(5)):
        assert np.array_equal(unpack_planes(binarize(logits, size_hw, 0.4), 5), expected(logits, size_hw, 0.4))


@pytest.mark.parametrize("classes", [29, 32, 33, 65])
def test_any_number_of_classes_and_any_memory_layout(classes: int) -> None:
    logits = blobs(classes)
    channels_last = logits[None].to(memory_format=torch.channels_last)[0]
    masks = unpack_planes(binarize(channels_last, (50, 60), 0.5), classes)
    assert np.array_equal(masks, expected(logits, (50, 60), 0.5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_resized_in_full(dtype: torch.dtype) -> None:
    logits = blobs(9).to(dtype)
    assert np.array_equal(unpack_planes(binarize(logits, (33, 40), 0.3), 9), expected(logits, (33, 40), 0.3))


@pytest.mark.parametrize("size_hw", SIZES)
def test_a_device_packs_the_same(size_hw: tuple[int, int]) -> None:
    logits = blobs(29)
    packed = packed_on_device(logits, size_hw, logits_of(0.5, 29))
    assert np.array_equal(packed.numpy(), binarize(logits, size_hw, 0.5))


def test_what_is_no_number_belongs_to_no_class() -> None:
    logits = torch.full((2, 4, 4), 5.0)
    logits[0, :2] = torch.nan
    masks = unpack_planes(binarize(logits, (16, 16), 0.5), 2)
    assert not masks[0, :4].any()
    assert masks[0, 12:].all()
    assert masks[1].all()


def test_at_native_size_nothing_is_resized() -> None:
    logits = noise(3, 8, 8)
    assert np.array_equal(unpack_planes(binarize(logits, (8, 8), 0.5), 3), (logits > 0).numpy())


def test_thresholds_0_and_1_take_everything_and_nothing() -> None:
    logits = noise(3, 4, 4)
    assert unpack_planes(binarize(logits, (4, 4), 0.0), 3).all()
    assert not binarize(logits, (4, 4), 1.0).any()


@pytest.mark.parametrize("size_hw", [(24, 20), (33, 40)])
def test_each_class_may_have_a_threshold_of_its_own(size_hw: tuple[int, int]) -> None:
    logits, thresholds = blobs(40), np.linspace(0.02, 0.98, 40).tolist()
    together = unpack_planes(binarize(logits, size_hw, thresholds), 40)
    on_device = unpack_planes(packed_on_device(logits, size_hw, logits_of(thresholds, 40)).numpy(), 40)
    for index, threshold in enumerate(thresholds):
        alone = unpack_planes(binarize(logits[index : index + 1], size_hw, threshold), 1)[0]
        assert np.array_equal(together[index], alone)
        assert np.array_equal(on_device[index], alone)
