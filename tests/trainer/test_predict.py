from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from data.masks import unpack_planes
from data.sample import find_images
from trainer.precision import Precision
from trainer.predict import Predictor, batched, probabilities
from transform import Normalisation, Pipeline


def level_of(index: int) -> float:
    """A brightness between two grey values."""
    return (20 * index + 0.5) / 255


class Thresholds(nn.Module):
    """Class c is where the image is brighter than its level; its logits are far from 0."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, image_B1HW: Tensor) -> Tensor:
        levels = torch.tensor([level_of(index) for index in range(self.classes)]).view(1, -1, 1, 1)
        return (image_B1HW - levels) * 100


def predictor(size_px: int | None, *, classes: int = 9, batch_size: int = 1) -> Predictor:
    return Predictor(
        network=Thresholds(classes),
        transform=Pipeline(size_px=size_px),
        normalise=Normalisation(0.0, 1.0),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
        batch_size=batch_size,
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_masks_come_in_order_at_native_size_whatever_the_batch(root: Path, batch_size: int) -> None:
    samples = find_images(root / "test" / "DCM")
    predicted = list(predictor(32, batch_size=batch_size).masks(samples))
    assert [sample for sample, _ in predicted] == samples
    alone = predictor(32)
    for sample, mask in predicted:
        assert mask.shape == (64, 64, 2)
        assert np.array_equal(mask, next(iter(alone.masks([sample])))[1])


def test_a_network_that_thresholds_gives_the_thresholded_image(root: Path) -> None:
    (sample, mask), *_ = predictor(None).masks(find_images(root / "test" / "DCM"))
    image = predictor(None).load(sample).image_hw / np.float32(255)
    expected = np.stack([image > level_of(index) for index in range(9)])
    assert np.array_equal(unpack_planes(mask, 9), expected)


def test_batches_hold_consecutive_items() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_masks_are_the_probabilities_above_the_threshold(root: Path) -> None:
    some = predictor(32)
    for loaded, logits in some.predicted(find_images(root / "test" / "DCM")):
        found = np.zeros((9, 64, 64), bool)
        for classes, planes in probabilities(logits, loaded.native_hw):
            found[classes] = (planes > 0.5).numpy()
        assert np.array_equal(unpack_planes(some.harden(logits, loaded.native_hw), 9), found)
