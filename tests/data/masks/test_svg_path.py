"""Paths are filled back into pixels and compared with the mask that they were traced from."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.masks.svg_path import BOUND_PX, svg_path
from utils.arrays import Mask, Size

FINE = 8
"""Pixels of a test's canvas for each pixel of the drawing, along a side."""


def filled(path: str, frame_hw: Size) -> Mask:
    """Fill path data by the rule `evenodd`, on a canvas of FINE pixels for each pixel of the drawing."""
    rings = []
    for part in re.findall(r"M([^z]*)z", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", part)]
        rings.append(np.cumsum(np.array(numbers).reshape(-1, 2), axis=0))
    canvas = np.zeros((frame_hw[0] * FINE, frame_hw[1] * FINE), np.uint8)
    for ring in rings:
        one = np.zeros_like(canvas)
        # OpenCV takes sixteenths, and the middle of a pixel as its origin.
        cv2.fillPoly(one, [np.round((ring * FINE - 0.5) * 16).astype(np.int32)], 1, shift=4)
        canvas ^= one
    return canvas.astype(bool)


def farthest_px(path: str, mask: Mask, frame_hw: Size) -> float:
    """Return how far the filled path reaches over the border of the mask, or misses it, in pixels of the drawing."""
    height, width = frame_hw[0] * FINE, frame_hw[1] * FINE
    true = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    differ = filled(path, frame_hw) != true.astype(bool)
    padded = np.pad(true, 1)
    away = np.maximum(cv2.distanceTransform(padded, cv2.DIST_L2, 5), cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5))
    return float(away[1:-1, 1:-1][differ].max(initial=0)) / FINE


def scene(side: int) -> Mask:
    """A ring, a disc inside it, a thin line, and two pixels that touch at a corner."""
    canvas = np.zeros((side, side), np.uint8)
    centre = (side // 2, side // 2)
    cv2.circle(canvas, centre, side // 3, 1, side // 8)
    cv2.circle(canvas, centre, side // 12, 1, -1)
    cv2.line(canvas, (1, side - 3), (side // 4, side - 1), 1, 1)
    canvas[2, 2] = canvas[3, 3] = 1
    return canvas.astype(bool)


@pytest.mark.parametrize(("side", "frame"), [(64, 64), (48, 96), (200, 64), (600, 64), (65, 31)])
def test_a_path_lies_within_half_a_pixel_of_the_border(side: int, frame: int) -> None:
    mask = scene(side)
    assert farthest_px(svg_path(mask, (frame, frame)), mask, (frame, frame)) <= BOUND_PX + 1 / FINE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=48, max_size=48))
def test_any_mask_is_traced_with_all_its_parts_and_holes(pixels: list[bool]) -> None:
    mask = np.array(pixels).reshape(6, 8)
    path = svg_path(mask, (48, 64))
    assert farthest_px(path, mask, (48, 64)) <= 0.2, "borders of large pixels are straight"
    assert bool(path) == mask.any()


def test_one_pixel_is_a_square_and_a_hole_one_inside_it() -> None:
    pixel = np.zeros((4, 5), bool)
    pixel[1, 2] = True
    assert svg_path(pixel, (4, 5)) == "M2 1l0 1 1 0 0-1z"
    assert svg_path(~pixel, (4, 5)).count("z") == 2


def test_nothing_disappears_if_a_large_mask_is_drawn_small() -> None:
    mask = np.zeros((4000, 4000), bool)
    mask[1234, 2345] = True
    assert svg_path(mask, (100, 100)) != ""
    assert svg_path(mask[:100, :100], (100, 100)) == ""


def test_a_path_is_a_small_part_of_the_outline_that_it_stands_for() -> None:
    mask = np.zeros((2048, 2048), np.uint8)
    cv2.ellipse(mask, (1000, 1000), (60, 200), 20, 0, 360, 1, -1)
    assert len(svg_path(mask.astype(bool), (640, 640))) < 400


def test_noise_is_traced_coarsely() -> None:
    mask = np.random.default_rng(0).random((300, 300)) > 0.5
    assert len(svg_path(mask, (300, 300))) > 100_000
    assert 0 < len(svg_path(mask, (300, 300), 2000)) <= 2000
    disc = scene(200)
    assert svg_path(disc, (64, 64), 5000) == svg_path(disc, (64, 64)), "usual paths are as fine as without a limit"
