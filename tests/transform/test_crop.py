from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from transform import MaskFormat, Pipeline, for_masks
from transform.crop import foreground_crop
from transform.intensity import gamma
from utils.arrays import Pixels
from utils.errors import UserError

CLASSES = ("tiny", "large", "absent")


@pytest.fixture
def scene() -> tuple[Pixels, Pixels]:
    """An image whose pixels tell their places, with one pixel of the class tiny and a square of the class large."""
    image = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    packed = np.zeros((64, 64, 1), np.uint8)
    packed[60, 3] |= 1
    packed[10:40, 20:50] |= 2
    return image, packed


def crops(scene: tuple[Pixels, Pixels], *, count: int = 200, **settings: object) -> list[tuple[Pixels, Pixels]]:
    settings = {"size_px": 16, **settings}
    pipeline = Pipeline([foreground_crop(**settings)], masks=MaskFormat(CLASSES))  # type: ignore[arg-type]
    return [pipeline(*scene, seed=seed) for seed in range(count)]


def test_every_biased_window_holds_a_bone_and_small_ones_are_met_as_often(scene: tuple[Pixels, Pixels]) -> None:
    found = crops(scene, bias=1.0)
    assert all(mask.any() for _, mask in found)
    met = Counter(int(np.bitwise_or.reduce(mask, axis=None)) for _, mask in found)
    assert 70 < met[1] < 130


def test_only_the_chosen_classes_are_looked_for(scene: tuple[Pixels, Pixels]) -> None:
    assert all((mask & 1).any() for _, mask in crops(scene, bias=1.0, classes=("tiny",)))
    nowhere = crops(scene, bias=1.0, classes=("absent",))
    assert any(not mask.any() for _, mask in nowhere)


def test_without_a_bias_windows_lie_anywhere(scene: tuple[Pixels, Pixels]) -> None:
    expected = 17 * 17 / 49 / 49  # where a 16 px window can lie and hold one pixel in a corner region
    share = np.mean([(mask & 1).any() for _, mask in crops(scene, bias=0.0, count=400)])
    assert share < expected
    assert len({image[0, 0] for image, _ in crops(scene, bias=0.0, count=400)}) > 100


def test_the_bone_may_be_anywhere_in_the_window(scene: tuple[Pixels, Pixels]) -> None:
    places = {tuple(np.argwhere(mask[..., 0] & 1)[0]) for _, mask in crops(scene, bias=1.0, classes=("tiny",))}
    assert len({y for y, _ in places}) > 3
    assert len({x for _, x in places}) > 3


def test_image_and_mask_are_cut_at_one_place(scene: tuple[Pixels, Pixels]) -> None:
    image, packed = scene
    for crop, mask in crops(scene, count=20):
        assert crop.shape == (16, 16)
        windows = np.lib.stride_tricks.sliding_window_view(image, (16, 16))
        places = np.argwhere((windows == crop).all(axis=(2, 3)))
        assert any(np.array_equal(packed[y : y + 16, x : x + 16], mask) for y, x in places)


def test_an_image_without_mask_is_cut_too(scene: tuple[Pixels, Pixels]) -> None:
    crop, mask = Pipeline([foreground_crop(size_px=16, bias=1.0)])(scene[0], None, seed=0)
    assert crop.shape == (16, 16)
    assert mask is None


def test_the_whole_image_is_a_window_too(scene: tuple[Pixels, Pixels]) -> None:
    (crop, mask), *_ = crops(scene, size_px=64, bias=1.0, count=1)
    assert np.array_equal(crop, scene[0])
    assert np.array_equal(mask, scene[1])


def test_a_window_larger_than_the_image_says_so(scene: tuple[Pixels, Pixels]) -> None:
    with pytest.raises(
        UserError, match="foreground_crop: a window of 65 x 10 px does not fit into an image of 64 x 64"
    ):
        crops(scene, size_px=(65, 10), count=1)


def test_a_class_that_is_none_is_reported_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"classes: 'tinny' is not a class of this task\. Did you mean 'tiny'\?"):
        for_masks(foreground_crop(size_px=8, classes=("tinny",)), MaskFormat(CLASSES))


def test_transforms_that_read_no_masks_stay_as_they_are() -> None:
    louder = gamma()
    assert for_masks(louder, MaskFormat(CLASSES)) is louder


def test_a_pixel_of_a_soft_class_is_at_least_half_opaque(scene: tuple[Pixels, Pixels]) -> None:
    """The faint pixel of the class tiny does not count, the other one does."""
    image, _ = scene
    alpha = np.zeros((64, 64, 2), np.uint8)
    alpha[5, 60, 0], alpha[60, 3, 0] = 100, 200
    pipeline = Pipeline([foreground_crop(size_px=16, bias=1.0)], masks=MaskFormat(("tiny", "absent"), soft=True))
    assert all(pipeline(image, alpha, seed=seed)[1].max() == 200 for seed in range(50))
