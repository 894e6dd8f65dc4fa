"""Pills: their outline as a distance, their colours, and how light falls on them.

A picture is float32[H, W, 3], RGB in 0..1; distances are float32[H, W] in pixels, negative inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np

from utils.arrays import Floats32, Size

Draws: TypeAlias = np.random.Generator
OUTLINE_STEPS = 48
"""Points of half an outline."""


class Placed(Protocol):
    """Something that lies in an image: its middle and size in pixels, its turn in radians."""

    @property
    def x(self) -> float: ...

    @property
    def y(self) -> float: ...

    @property
    def angle(self) -> float: ...

    @property
    def radius_px(self) -> float: ...


@dataclass(frozen=True)
class Pill:
    """A pill that lies in an image: a line of half length `reach_px` with round ends of `radius_px`.

    With a reach of 0 it is a round tablet. `flat` is how much of its top is level, 0 for a ball and near 1 for a coin.
    """

    x: float
    y: float
    angle: float
    reach_px: float
    radius_px: float
    flat: float
    colour: Floats32
    other: Floats32
    """The colour of the other half, if the pill has two."""
    gloss: float
    is_scored: bool
    """Whether a groove divides it."""


def draw_pill(size_hw: Size, draws: Draws) -> Pill:
    """Draw a pill of a random kind that lies mostly inside an image."""
    side = min(size_hw)
    radius = side * draws.uniform(0.07, 0.17)
    is_long = draws.random() < 0.55
    hue = draws.random()
    colour = vivid(draws) if hue < 0.55 else pale(draws)
    has_two = is_long and draws.random() < 0.5
    return Pill(
        x=draws.uniform(0.15, 0.85) * size_hw[1],
        y=draws.uniform(0.15, 0.85) * size_hw[0],
        angle=draws.uniform(0, np.pi),
        reach_px=radius * draws.uniform(0.6, 1.8) if is_long else 0.0,
        radius_px=radius,
        flat=draws.uniform(0.0, 0.3) if is_long else draws.uniform(0.4, 0.85),
        colour=colour,
        other=pale(draws) if has_two else colour,
        gloss=draws.uniform(0.05, 0.7),
        is_scored=not has_two and draws.random() < 0.4,
    )


def vivid(draws: Draws) -> Floats32:
    """A strong colour."""
    hsv = np.array([[[draws.uniform(0, 360), draws.uniform(0.5, 0.95), draws.uniform(0.5, 0.98)]]], np.float32)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0], np.float32)


def pale(draws: Draws) -> Floats32:
    """White, cream, pink or grey."""
    return (draws.uniform(0.72, 0.98) + draws.normal(0, 0.03, 3)).clip(0.5, 1).astype(np.float32)


def along_and_across(body: Placed, size_hw: Size) -> tuple[Floats32, Floats32]:
    """Return each pixel's coordinates along a body's line and across it, float32[H, W] in pixels."""
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    cosine, sine = np.float32(np.cos(body.angle)), np.float32(np.sin(body.angle))
    away_x, away_y = xs - np.float32(body.x), ys - np.float32(body.y)
    return away_x * cosine + away_y * sine, away_y * cosine - away_x * sine


def distance(pill: Pill, along: Floats32, across: Floats32) -> Floats32:
    """Return the distance to the outline: that to the line, less the radius."""
    beyond = np.maximum(np.abs(along) - np.float32(pill.reach_px), 0)
    return np.hypot(beyond, across) - np.float32(pill.radius_px)


def outline(pill: Pill) -> list[float]:
    """Return the outline as a polygon, x and y of its points in turn, with pixels' corners at whole numbers."""
    half = np.linspace(-np.pi / 2, np.pi / 2, OUTLINE_STEPS)
    ends = [(half, pill.reach_px), (half + np.pi, -pill.reach_px)]
    along = np.concatenate([pill.radius_px * np.cos(angles) + reach for angles, reach in ends])
    across = np.concatenate([pill.radius_px * np.sin(angles) for angles, _ in ends])
    cosine, sine = np.cos(pill.angle), np.sin(pill.angle)
    x = pill.x + along * cosine - across * sine + 0.5
    y = pill.y + along * sine + across * cosine + 0.5
    return [round(float(value), 2) for value in np.stack([x, y], axis=1).ravel()]


def coverage(distance_HW: Floats32) -> Floats32:
    """Return how much of each pixel a body covers, float32[H, W] in 0..1."""
    return (0.5 - distance_HW).clip(0, 1)


def shaded(pill: Pill, along: Floats32, distance_HW: Floats32, light: Floats32) -> Floats32:
    """Return the pill's colours under a light, as `lit_surface`."""
    colour = np.where((along > 0)[..., None], pill.colour, pill.other)
    height = rounded(distance_HW, pill.radius_px * (1 - pill.flat))
    groove = np.exp(-((along / (0.06 * pill.radius_px)) ** 2)) if pill.is_scored else np.zeros_like(along)
    return lit_surface(colour, height, light, pill.gloss, groove)


def lit_surface(colour: Floats32, height: Floats32, light: Floats32, gloss: float, groove: Floats32) -> Floats32:
    """Return the colours of a surface, float32[H, W, 3], under a light from a unit vector (x, y, towards the viewer).

    `colour` is float32[H, W, 3] or float32[3], `height` in pixels; `groove`, 0..1, is how much darker a pixel is.
    """
    slope_y, slope_x = np.gradient(height)
    normal = np.stack([-slope_x, -slope_y, np.ones_like(height)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    facing = (normal @ light).clip(0, 1) * (1 - 0.5 * groove)
    half_way = light + np.array([0, 0, 1], np.float32)
    half_way /= np.linalg.norm(half_way)
    shine = (normal @ half_way).clip(0, 1) ** 40 * np.float32(gloss)
    lit = colour * (0.35 + 0.65 * facing[..., None]) + shine[..., None]
    return np.asarray(lit.clip(0, 1), np.float32)


def rounded(distance_HW: Floats32, edge_px: float) -> Floats32:
    """Return the height of a surface in pixels: an edge rounded over `edge_px` around a level top."""
    inner = (-distance_HW / np.float32(edge_px)).clip(0, 1)
    return np.asarray(np.float32(edge_px) * np.sqrt(1 - (1 - inner) ** 2) * np.float32(0.8), np.float32)


def shadow(distance_HW: Floats32, body: Placed, light: Floats32, strength: float) -> Floats32:
    """Return how much light the ground keeps beside a body, float32[H, W] in 0..1."""
    reach_px = body.radius_px * 0.5
    shift = np.array([[1, 0, -light[0] * reach_px], [0, 1, -light[1] * reach_px]], np.float32)
    moved = cv2.warpAffine(coverage(distance_HW), shift, (distance_HW.shape[1], distance_HW.shape[0]))
    return np.asarray((1 - strength * cv2.GaussianBlur(moved, (0, 0), 0.25 * body.radius_px)), np.float32)
