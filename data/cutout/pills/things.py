"""Things that lie among the pills and are none: what a network for salient objects cuts out, and ours must not.

A thing is a flat solid of one colour; its outline is a distance, float32[H, W] in pixels, negative inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from data.cutout.pills.shapes import lit_surface, pale, rounded, vivid
from utils.arrays import Floats32, Size

Draws: TypeAlias = np.random.Generator
Outline: TypeAlias = Callable[[Floats32, Floats32, float], Floats32]
"""From coordinates along and across, float32[H, W] in pixels, and the thing's radius in pixels, to the distance."""


@dataclass(frozen=True)
class Thing:
    """A thing in an image, in pixels and radians."""

    outline: Outline
    x: float
    y: float
    angle: float
    radius_px: float
    colour: Floats32
    gloss: float


def draw_thing(size_hw: Size, draws: Draws) -> Thing:
    """Draw a thing of a random kind."""
    names = list(OUTLINES)
    return Thing(
        outline=OUTLINES[names[int(draws.integers(len(names)))]],
        x=draws.uniform(0.1, 0.9) * size_hw[1],
        y=draws.uniform(0.1, 0.9) * size_hw[0],
        angle=draws.uniform(0, 2 * np.pi),
        radius_px=min(size_hw) * draws.uniform(0.09, 0.2),
        colour=vivid(draws) if draws.random() < 0.6 else pale(draws) * np.float32(draws.uniform(0.3, 1)),
        gloss=draws.uniform(0.0, 0.5),
    )


def surface_of(thing: Thing, distance_HW: Floats32, light: Floats32) -> Floats32:
    """Return the thing's colours under a light, as `lit_surface`."""
    height = rounded(distance_HW, 0.2 * thing.radius_px)
    return lit_surface(thing.colour, height, light, thing.gloss, np.zeros_like(distance_HW))


def die(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """A square with slightly round corners."""
    return _box(along, across, 0.8 * radius_px, 0.8 * radius_px)


def nut(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """A hexagon with a round hole."""
    sides = [along * np.cos(turn) + across * np.sin(turn) for turn in np.arange(6) * (np.pi / 3)]
    hexagon = np.max(np.stack(sides), axis=0) - np.float32(radius_px * 0.87)
    return np.asarray(np.maximum(hexagon, np.float32(0.45 * radius_px) - np.hypot(along, across)), np.float32)


def ring(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """A ring."""
    return np.abs(np.hypot(along, across) - np.float32(0.8 * radius_px)) - np.float32(0.2 * radius_px)


def leaf(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """What two circles share: pointed at both ends."""
    circle_px, shift_px = np.float32(1.4 * radius_px), np.float32(0.85 * radius_px)
    sides = [np.hypot(along, across + sign * shift_px) - circle_px for sign in (-1, 1)]
    return np.asarray(np.maximum(*sides), np.float32)


def star(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """Five points; inside, the distance is that along the ray, which is a little too large."""
    turn = np.cos(5 * np.arctan2(across, along))
    away = np.hypot(along, across) - np.float32(radius_px) * (np.float32(0.7) + np.float32(0.3) * turn)
    return np.asarray(away, np.float32)


def key(along: Floats32, across: Floats32, radius_px: float) -> Floats32:
    """A ring with a shaft and two teeth."""
    bow = ring(along + radius_px, across, 0.75 * radius_px)
    shaft = _box(along - 0.6 * radius_px, across, radius_px, 0.12 * radius_px)
    teeth = [
        _box(along - at * radius_px, across - 0.2 * radius_px, 0.1 * radius_px, 0.3 * radius_px) for at in (1, 1.4)
    ]
    return np.asarray(np.min(np.stack([bow, shaft, *teeth]), axis=0), np.float32)


def _box(along: Floats32, across: Floats32, half_px: float, half_across_px: float) -> Floats32:
    """A rectangle, by the larger of the distances to its sides."""
    return np.maximum(np.abs(along) - np.float32(half_px), np.abs(across) - np.float32(half_across_px))


OUTLINES: dict[str, Outline] = {"die": die, "nut": nut, "ring": ring, "leaf": leaf, "star": star, "key": key}
