"""Hair, specks and glass are found where they are and nowhere else, and the alpha is nearer to the truth afterwards."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.scenes import Scene, draw_scene
from data.refine import REFINEMENTS
from data.refine.cases.hair import hair_confidence
from data.refine.cases.special_cases import handle_cases
from data.refine.cases.texture import texture_confidence
from data.refine.cases.transparency import glass_confidence
from tests.data.refine.cases.test_transparency import glass
from utils.arrays import Floats32, Image

SIZE_HW = (240, 320)


def without_hair(scene: Scene) -> Floats32:
    """Return the alpha of a network that has seen no part that a square of 9 px does not fit into."""
    body = cv2.morphologyEx(scene.alpha, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    return np.asarray(cv2.GaussianBlur(body, (0, 0), 2))


def speckled() -> tuple[Image, Floats32, Floats32]:
    """A mottled disc before plain ground: the photograph, its true alpha, and one with gaps at dark specks."""
    draws = np.random.default_rng(5)
    noise = cv2.GaussianBlur(draws.normal(0, 1, SIZE_HW).astype(np.float32), (0, 0), 2.5)
    noise /= noise.std()
    truth = cv2.circle(np.zeros(SIZE_HW, np.float32), (160, 120), 80, 1.0, -1, cv2.LINE_AA)
    front = (np.array([0.6, 0.3, 0.55], np.float32) * (1 + 0.5 * noise[..., None])).clip(0, 1)
    mixed = truth[..., None] * front + (1 - truth[..., None]) * np.array([0.2, 0.5, 0.3], np.float32)
    gaps = cv2.GaussianBlur((noise < -1.2).astype(np.float32), (0, 0), 1)
    seen = truth * (1 - gaps)
    return np.asarray(np.round(mixed * 255), np.uint8), truth, np.asarray(seen, np.float32)


def error(alpha: Floats32, truth: Floats32) -> float:
    return float(np.abs(alpha - truth).mean())


@pytest.mark.parametrize("ground", ["paper", "skin"])
def test_hair_that_a_network_has_not_seen_is_found(ground: str) -> None:
    scene = draw_scene("hair", ground, 1, SIZE_HW)
    handled = handle_cases(scene.picture, without_hair(scene))
    assert handled.confidences["hair"] >= 0.5
    assert error(handled.after, scene.alpha) < 0.8 * error(handled.before, scene.alpha)


def test_dark_specks_are_no_gaps() -> None:
    image, truth, seen = speckled()
    handled = handle_cases(image, seen)
    assert handled.confidences["texture"] >= 0.5
    assert error(handled.after, truth) < 0.6 * error(seen, truth)


def test_glass_is_handled_in_the_same_call_and_the_given_alpha_stays() -> None:
    image, truth, mask = glass("tiles")
    before = mask.copy()
    handled = handle_cases(image, mask)
    assert handled.confidences["transparency"] >= 0.5
    assert error(handled.after, truth) < 0.5 * error(mask, truth)
    assert np.array_equal(mask, before)
    assert handled.before is mask
    assert np.array_equal(REFINEMENTS["special_cases"]()(image, mask), handled.after)


@pytest.mark.parametrize("shape", ["leaf", "ring", "letters", "soft disc"])
@pytest.mark.parametrize("ground", ["wood", "print"])
def test_nothing_is_found_where_nothing_is(shape: str, ground: str) -> None:
    scene = draw_scene(shape, ground, 1, SIZE_HW)
    alpha = np.asarray(cv2.GaussianBlur(scene.alpha, (0, 0), 1))
    handled = handle_cases(scene.picture, alpha)
    assert max(handled.confidences.values()) < 0.5, handled.confidences
    assert np.array_equal(handled.after, alpha)


def test_stripes_are_not_taken_for_glass_of_their_mean_colour() -> None:
    truth = cv2.circle(np.zeros(SIZE_HW, np.float32), (160, 120), 80, 1.0, -1, cv2.LINE_AA)
    stripes = np.where((np.mgrid[: SIZE_HW[0], : SIZE_HW[1]].sum(0) // 6) % 2, 0.9, 0.1)
    image = np.dstack([np.uint8(np.where(truth > 0.5, stripes, 0.5) * 255)] * 3)
    assert glass_confidence(image, truth) == 0


def test_gaps_between_hairs_are_no_specks() -> None:
    scene = draw_scene("hair", "skin", 203, SIZE_HW)
    assert texture_confidence(scene.picture, scene.alpha) < 0.5


@pytest.mark.parametrize("detect", [hair_confidence, texture_confidence, glass_confidence])
def test_detectors_find_nothing_in_an_alpha_of_one_value(detect: object) -> None:
    picture = draw_scene("leaf", "wood", 1, (48, 64)).picture
    for value in (0, 1):
        assert detect(picture, np.full((48, 64), value, np.float32)) == 0  # type: ignore[operator]
