"""The colours of soft edges are those of the object, without the ground that shines through."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.scenes import draw_scene
from data.refine import object_colours


@pytest.mark.parametrize("shape", ["hair", "soft disc", "web"])
def test_soft_edges_lose_the_colours_of_the_ground(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = draw_scene(shape, "wood", 1, (144, 192))
    alpha = np.asarray(np.round(scene.alpha * 255), np.uint8)
    before = scene.picture.copy()
    coloured = object_colours(scene.picture, alpha)
    soft = (alpha > 25) & (alpha < 230)
    errors = [np.abs(each.astype(int) - scene.colours)[soft].mean() for each in (scene.picture, coloured)]
    assert errors[1] < 0.5 * errors[0]
    # What is opaque, or far from every soft pixel, is as it was.
    far = cv2.dilate(((alpha > 0) & (alpha < 255)).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    assert np.array_equal(coloured[(alpha == 255) | far], before[(alpha == 255) | far])
    assert np.array_equal(scene.picture, before)
    monkeypatch.setattr("data.refine.base.TILE_PX", 50)
    assert np.abs(object_colours(scene.picture, alpha).astype(int) - coloured).max() <= 1


@pytest.mark.parametrize("value", [0, 255])
def test_without_soft_pixels_a_photograph_stays(value: int) -> None:
    picture = draw_scene("leaf", "wood", 1, (48, 64)).picture
    assert np.array_equal(object_colours(picture, np.full((48, 64), value, np.uint8)), picture)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (300, 3)])
def test_any_size_will_do(size_hw: tuple[int, int]) -> None:
    draws = np.random.default_rng(0)
    picture = draws.integers(0, 256, (*size_hw, 3), np.uint8)
    assert object_colours(picture, draws.integers(1, 255, size_hw, np.uint8)).shape == picture.shape
