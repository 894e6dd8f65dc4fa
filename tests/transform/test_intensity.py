from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.transform.names import OF_COLOURS
from transform import INTENSITY, Pipeline
from transform.intensity import brightness_contrast, coarse_dropout, gamma, invert, noise
from utils.arrays import Pixels
from utils.errors import UserError


@pytest.mark.parametrize("name", [name for name in INTENSITY if name not in OF_COLOURS])
def test_grey_values_change_and_masks_stay(name: str, image_HW: Pixels, packed_of: Callable[[int], Pixels]) -> None:
    image_HW.setflags(write=False)
    mask = packed_of(29)
    image, packed = Pipeline([INTENSITY[name](p=1.0)])(image_HW, mask, seed=2)
    assert image.dtype == np.uint8
    assert image.shape == image_HW.shape
    assert image.flags.c_contiguous
    assert not np.array_equal(image, image_HW)
    assert packed is mask


def test_noise_has_the_deviation_asked_for() -> None:
    grey = np.full((400, 400), 128, np.uint8)
    noisy, _ = Pipeline([noise(low=0.03, high=0.03, p=1.0)])(grey, None, seed=4)
    assert noisy.std() == pytest.approx(0.03 * 255, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.1)


def test_noise_does_not_wrap_around() -> None:
    black_and_white = np.repeat(np.array([[0, 255]], np.uint8), 50, axis=0)
    noisy, _ = Pipeline([noise(low=0.1, high=0.1, p=1.0)])(black_and_white, None, seed=4)
    assert noisy[:, 0].max() < 100
    assert noisy[:, 1].min() > 155


def test_brightness_clips() -> None:
    white = np.full((8, 8), 250, np.uint8)
    found = {int(_first(brightness_contrast(p=1.0), white, seed)) for seed in range(20)}
    assert max(found) == 255
    assert min(found) > 130


def test_gamma_keeps_black_and_white() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    changed, _ = Pipeline([gamma(p=1.0)])(levels, None, seed=1)
    assert changed[0, 0] == 0
    assert changed[0, 255] == 255
    assert (np.diff(changed[0].astype(int)) >= 0).all()


def test_inverting_exchanges_black_and_white() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    changed, _ = Pipeline([invert(p=1.0)])(levels, None, seed=1)
    assert np.array_equal(changed, levels[:, ::-1])


def test_dropout_blackens_no_more_than_its_holes() -> None:
    white = np.full((100, 100), 255, np.uint8)
    holes, _ = Pipeline([coarse_dropout(holes=3, low=0.1, high=0.2, p=1.0)])(white, None, seed=1)
    assert 100 <= (holes == 0).sum() <= 3 * 400
    assert set(np.unique(holes)) == {0, 255}


@pytest.mark.parametrize("name", ["gamma", "noise", "blur", "shadow", "glare", "fog", "motion_blur", "jpeg"])
def test_limits_in_the_wrong_order_are_refused(name: str) -> None:
    lower, upper = ("low_px", "high_px") if "blur" in name else ("low", "high")
    with pytest.raises(UserError, match=f"^{lower}: 1 is above {upper} 0.5; exchange them"):
        INTENSITY[name](**{lower: 1, upper: 0.5})


def _first(transform: object, image: Pixels, seed: int) -> int:
    changed, _ = Pipeline([transform])(image, None, seed=seed)  # type: ignore[list-item]
    return int(changed[0, 0])
