"""Colours, light and camera: what each does, beside what `tests/transform/test_contract.py` says of all."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from transform import INTENSITY, Pipeline, refuse_channels
from transform.photo.camera import jpeg, line_kernel
from transform.photo.colour import colour_matrix, hue_saturation
from utils.arrays import Pixels
from utils.errors import UserError

NONE_AT_ALL = {
    "hue_saturation": {"hue_deg": 0, "saturation": 0},
    "shadow": {"low": 0, "high": 0},
    "glare": {"low": 0, "high": 0},
    "fog": {"low": 0, "high": 0},
    "motion_blur": {"low_px": 1, "high_px": 1},
}


@pytest.fixture
def colours() -> Pixels:
    """uint8[40, 48, 3]: every hue, some greys, black and white."""
    return np.asarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3)), np.uint8)


@pytest.mark.parametrize("name", NONE_AT_ALL)
def test_a_strength_of_0_changes_nothing(name: str, colours: Pixels) -> None:
    changed, _ = Pipeline([INTENSITY[name](p=1.0, **NONE_AT_ALL[name])])(colours, None, seed=3)
    assert np.array_equal(changed, colours)


def test_colours_of_a_grey_image_cannot_be_changed() -> None:
    with pytest.raises(UserError, match="changes colours, but the images of this task are grey"):
        refuse_channels(hue_saturation(), 1)
    refuse_channels(hue_saturation(), 3)
    refuse_channels(jpeg(), 1)


@pytest.mark.parametrize("turn_deg", [-180, -20, 0, 75])
def test_greys_and_lightness_stay(turn_deg: float) -> None:
    matrix = colour_matrix(math.radians(turn_deg), 1.4)
    assert np.allclose(matrix @ np.ones(3), 1)
    colour = np.array([0.8, 0.3, 0.4])
    assert (matrix @ colour) @ [0.213, 0.715, 0.072] == pytest.approx(colour @ [0.213, 0.715, 0.072], abs=0.001)


def test_hues_turn_by_the_angle() -> None:
    """Thirds of a turn take red to the side of green, in the plane in which hues lie; no saturation is grey."""
    red, green = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    turned = colour_matrix(math.radians(120), 1.0) @ red
    distance = turned - turned @ [0.213, 0.715, 0.072]
    of_green = green - green @ [0.213, 0.715, 0.072]
    assert distance @ of_green / np.linalg.norm(distance) / np.linalg.norm(of_green) > 0.95
    assert np.ptp(colour_matrix(0.7, 0.0) @ red) < 1e-9


@pytest.mark.parametrize("length_px", [1.0, 2.5, 7.0, 30.0])
@pytest.mark.parametrize("angle_deg", [0, 33, 90, 120])
def test_motion_blur_is_a_line_through_the_middle(length_px: float, angle_deg: float) -> None:
    kernel = line_kernel(length_px, math.radians(angle_deg))
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(kernel, kernel[::-1, ::-1])
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    along = x * math.cos(math.radians(angle_deg)) + y * math.sin(math.radians(angle_deg))
    across = y * math.cos(math.radians(angle_deg)) - x * math.sin(math.radians(angle_deg))
    assert (kernel * across**2).sum() < 0.5
    assert (kernel * along**2).sum() == pytest.approx((length_px - 1) ** 2 / 12, rel=0.05, abs=0.6)


def test_the_quality_of_a_jpeg_decides_what_is_lost(colours: Pixels) -> None:
    photo = cv2.GaussianBlur(np.repeat(np.repeat(colours, 4, 0), 4, 1), (0, 0), 3)
    errors = []
    for quality in (10, 50, 95):
        found, _ = Pipeline([jpeg(low=quality, high=quality, p=1.0)])(photo, None, seed=0)
        errors.append(np.abs(found.astype(int) - photo).mean())
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    assert errors[2] < 2


def test_a_jpeg_keeps_the_order_of_colours() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    found, _ = Pipeline([jpeg(low=90, high=90, p=1.0)])(red, None, seed=0)
    assert np.abs(found.astype(int) - red).max() <= 4


def test_a_shadow_darkens_and_glare_and_fog_lighten() -> None:
    grey = np.full((50, 60, 3), 100, np.uint8)
    for name, darkens in (("shadow", True), ("glare", False), ("fog", False)):
        seen = [Pipeline([INTENSITY[name](p=1.0)])(grey, None, seed)[0].astype(int) - 100 for seed in range(20)]
        assert all((-change if darkens else change).min() >= 0 for change in seen)
        assert np.mean([change.any() for change in seen]) > 0.9
        assert max(np.abs(change).max() for change in seen) <= 255 * 0.9


def test_a_shadow_takes_no_more_light_than_asked() -> None:
    white = np.full((50, 60), 200, np.uint8)
    darkest = min(Pipeline([INTENSITY["shadow"](low=0.5, high=0.5, p=1.0)])(white, None, s)[0].min() for s in range(20))
    assert 99 <= darkest <= 102
