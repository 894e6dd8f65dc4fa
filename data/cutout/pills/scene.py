"""One picture of pills on a ground, among other things, with the exact truth and the pills' outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.cutout.pills.grounds import GROUNDS, lit
from data.cutout.pills.shapes import Pill, along_and_across, coverage, distance, draw_pill, shaded, shadow
from data.cutout.pills.things import draw_thing, surface_of
from utils.arrays import Bytes, Floats32, Size

MOST_PILLS = 4
MOST_THINGS = 3


@dataclass(frozen=True)
class Scene:
    """A photograph uint8[H, W, 3] (RGB), the share of each pixel that pills cover uint8[H, W], and the pills."""

    photo: Bytes
    alpha: Bytes
    pills: Sequence[Pill]


def draw_scene(
    seed: Sequence[int],
    size_hw: Size,
    *,
    pills: int | None = None,
    grounds: Sequence[str] = tuple(GROUNDS),
    things: float = 0.0,
) -> Scene:
    """Draw a scene on one of the `grounds`; equal seeds give equal scenes. `pills` is their number, None: 1 to 4.

    `things` is the probability, 0 to 1, that up to three things which are no pills lie below them.
    """
    draws = np.random.default_rng(seed)
    names = grounds
    picture = lit(GROUNDS[names[int(draws.integers(len(names)))]](size_hw, draws), draws)
    light = _light(draws)
    strength = draws.uniform(0.15, 0.6)
    alpha = np.zeros(size_hw, np.float32)
    lying = [
        draw_pill(size_hw, draws) for _ in range(int(draws.integers(1, MOST_PILLS + 1)) if pills is None else pills)
    ]
    count = int(draws.integers(1, MOST_THINGS + 1)) if things and draws.random() < things else 0
    for thing in [draw_thing(size_hw, draws) for _ in range(count)]:
        away = thing.outline(*along_and_across(thing, size_hw), thing.radius_px)
        picture = _laid(picture, surface_of(thing, away, light), away, shadow(away, thing, light, strength))
    for pill in lying:
        along, across = along_and_across(pill, size_hw)
        away = distance(pill, along, across)
        picture = _laid(picture, shaded(pill, along, away, light), away, shadow(away, pill, light, strength))
        alpha = np.maximum(alpha, coverage(away))
    return Scene(_exposed(picture, draws), np.round(alpha * 255).astype(np.uint8), lying)


def _laid(picture: Floats32, surface: Floats32, distance_HW: Floats32, shadow_HW: Floats32) -> Floats32:
    """Lay a body's surface on a picture, over its own shadow."""
    covered = coverage(distance_HW)[..., None]
    return picture * shadow_HW[..., None] * (1 - covered) + surface * covered


def _light(draws: np.random.Generator) -> Floats32:
    """Draw the direction of a lamp above the table, as a unit vector."""
    angle, tilt = draws.uniform(0, 2 * np.pi), draws.uniform(0.2, 0.9)
    return np.array([np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)], np.float32)


def _exposed(picture: Floats32, draws: np.random.Generator) -> Bytes:
    """Take the photograph: colour of the lamp, blur of the lens, gamma, noise of the sensor."""
    lamp = (1 + draws.normal(0, 0.06, 3)).astype(np.float32)
    seen = cv2.GaussianBlur(picture * lamp, (0, 0), draws.uniform(0.4, 0.9)).clip(0, 1) ** draws.uniform(0.8, 1.25)
    noisy = seen + draws.normal(0, draws.uniform(0.002, 0.02), seen.shape)
    return np.asarray(np.round(noisy.clip(0, 1) * 255), np.uint8)
