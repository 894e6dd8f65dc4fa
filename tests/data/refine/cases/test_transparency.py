"""Glass is found and becomes transparent; opaque things stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.scenes import draw_scene
from data.cutout.pills.grounds import GROUNDS
from data.refine import REFINEMENTS
from data.refine.cases.transparency import glass_confidence
from utils.arrays import Floats32, Image

SIZE_HW = (144, 192)


def glass(ground: str) -> tuple[Image, Floats32, Floats32]:
    """A drop of glass with a bright rim: the photograph, its true alpha, and a mask that is opaque inside."""
    behind = GROUNDS[ground](SIZE_HW, np.random.default_rng(3))
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]].astype(np.float32)
    away = np.hypot((x - 96) / 40, (y - 72) / 50)
    mask = np.asarray((12 * (1 - away)).clip(0, 1), np.float32)
    truth = mask * (0.15 + 0.65 * ((away - 0.8) / 0.2).clip(0, 1) ** 2)
    mixed = truth[..., None] * 0.95 + (1 - truth[..., None]) * behind
    return np.asarray(np.round(mixed.clip(0, 1) * 255), np.uint8), truth, mask


@pytest.mark.parametrize("ground", ["wood", "tiles", "stone", "skin"])
def test_glass_becomes_transparent(ground: str) -> None:
    image, truth, mask = glass(ground)
    assert glass_confidence(image, mask) >= 0.5
    refined = REFINEMENTS["transparency"]()(image, mask)
    assert np.abs(refined - truth).mean() < 0.5 * np.abs(mask - truth).mean()
    assert (refined <= mask).all()


def test_opaque_things_stay_as_they_are() -> None:
    for shape in ("leaf", "fur", "ring"):
        scene = draw_scene(shape, "wood", 1, SIZE_HW)
        mask = cv2.GaussianBlur(scene.alpha, (0, 0), 1)
        assert np.array_equal(REFINEMENTS["transparency"]()(scene.picture, mask), mask)
