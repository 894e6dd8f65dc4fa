"""Hands of ellipses, as polygons: every bone at its place, of either side, with bent wrists among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
import pytest

from data.hand_bone.checks.shapes import shape_of
from data.hand_bone.checks.suspects import Hand
from data.hand_bone.classes import BONES
from utils.arrays import Ring

Polygons: TypeAlias = list[tuple[int, Ring]]

SIZE_PX = 400
SPECKS: tuple[tuple[float, float, float, float], ...] = (
    *((-40, -20, 9, 5), (-34, -6, 13, 6), (-24, 12, 18, 7)),  # thumb, from the tip: x, y, half length, half width
    *((-24, -92, 8, 4), (-22, -74, 11, 5), (-20, -48, 16, 6), (-16, -8, 24, 7)),
    *((-4, -104, 9, 4), (-4, -84, 12, 5), (-4, -55, 18, 6), (-3, -11, 24, 7)),
    *((14, -97, 9, 4), (13, -78, 12, 5), (12, -51, 17, 6), (9, -8, 22, 6)),
    *((32, -78, 7, 4), (30, -62, 9, 4), (26, -41, 14, 5), (19, -4, 20, 6)),
    *((-15, 24, 9, 6), (-7, 21, 6, 5), (1, 24, 10, 7), (12, 25, 9, 7)),
    *((-11, 36, 9, 6), (0, 38, 8, 6), (9, 38, 7, 6), (15, 35, 5, 5)),
    *((-9, 68, 24, 9), (10, 69, 23, 6)),
)
"""One row a class, in millimetres of a right hand's mould."""


def draw_hand(seed: int) -> Polygons:
    """A hand in a frame of `SIZE_PX`; every eighth bends its wrist."""
    rng = np.random.default_rng(seed)
    turned = math.radians(30 if seed % 8 == 7 else rng.normal(0, 3))
    scale = 1.4 * (1 + 0.05 * rng.standard_normal())
    side = -1 if seed % 2 else 1
    polygons = []
    for index, (x, y, half_length, half_width) in enumerate(SPECKS):
        turn = turned if index < 27 else 0.0
        x, y = np.array([x, y]) + rng.normal(0, 0.7, 2)
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        axes = np.array([half_length, half_width]) * scale * (1 + 0.03 * rng.standard_normal(2))
        angle = 90 + math.degrees(turn) + (20 if index < 3 else 0)
        points = cv2.ellipse2Poly((0, 0), (1000, int(1000 * axes[1] / axes[0])), int(angle), 0, 360, 8)
        ring = points * (axes[0] / 1000) + (x * scale, y * scale)
        polygons.append((index, np.rint(ring * (side, 1) + SIZE_PX / 2).astype(np.int32)))
    return polygons


def hand_of(polygons: Polygons, name: str) -> Hand:
    return Hand(name, name, shape_of(polygons, (SIZE_PX, SIZE_PX)))


@pytest.fixture(scope="session")
def drawn() -> list[Polygons]:
    return [draw_hand(seed) for seed in range(24)]


@pytest.fixture
def planted(drawn: list[Polygons]) -> Callable[..., list[Hand]]:
    """The hands, with the polygons of some replaced: `planted({3: polygons})`."""
    clean = [hand_of(polygons, f"hand{number}") for number, polygons in enumerate(drawn)]

    def plant(changes: dict[int, Polygons]) -> list[Hand]:
        hands = list(clean)
        for number, polygons in changes.items():
            hands[number] = hand_of(polygons, f"hand{number}")
        return hands

    return plant


def index_of(name: str) -> int:
    return BONES.index(name)
