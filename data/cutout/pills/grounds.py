"""Grounds to lay objects on: wood, cloth, stone, tiles, paper, skin and gradients, each in random colours.

A ground is float32[H, W, 3], RGB in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from utils.arrays import Floats32, Size

Draws: TypeAlias = np.random.Generator
Ground: TypeAlias = Callable[[Size, Draws], Floats32]


def smooth_noise(size_hw: Size, cells_hw: tuple[float, float], draws: Draws) -> Floats32:
    """Return noise float32[H, W] in -1..1 whose bumps are about `cells_hw` pixels high and wide."""
    height, width = size_hw
    rows, columns = (max(2, round(side / cell) + 2) for side, cell in zip(size_hw, cells_hw, strict=True))
    coarse = draws.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)).clip(-1, 1)


def octaves(size_hw: Size, cell_px: float, draws: Draws, count: int = 4) -> Floats32:
    """Return the sum of noises of halving size and strength, float32[H, W] in about -1..1."""
    total = np.zeros(size_hw, np.float32)
    for octave in range(count):
        cell = max(1.0, cell_px / 2**octave)
        total += smooth_noise(size_hw, (cell, cell), draws) / 2**octave
    return np.asarray(total / 2, np.float32)


def mixed(share_HW: Floats32, colour: Floats32, other: Floats32) -> Floats32:
    """Return one colour where the share is 0 and the other where it is 1, float32[H, W, 3]."""
    share = share_HW.clip(0, 1)[..., None]
    return np.asarray((colour * (1 - share) + other * share), np.float32)


def two_colours(draws: Draws, difference: float) -> tuple[Floats32, Floats32]:
    """Draw a colour of any hue, mostly pale, and another that differs a little."""
    grey = draws.uniform(0.15, 0.95)
    colour = (grey + draws.normal(0, 0.1, 3)).clip(0.03, 0.97)
    other = (colour + draws.normal(0, 0.04, 3) + draws.choice([-1, 1]) * difference).clip(0.02, 0.98)
    return colour.astype(np.float32), other.astype(np.float32)


def paper(size_hw: Size, draws: Draws) -> Floats32:
    """A plain sheet, lighter at one side, with a fine grain."""
    colour, other = two_colours(draws, 0.15)
    ramp = slope(size_hw, draws) + 0.02 * draws.normal(0, 1, size_hw).astype(np.float32)
    return mixed(ramp, colour, other)


def slope(size_hw: Size, draws: Draws) -> Floats32:
    """Return a ramp float32[H, W] from 0 to 1 in a random direction."""
    angle = draws.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    return np.asarray(((along - along.min()) / max(1e-6, np.ptp(along))), np.float32)


def wood(size_hw: Size, draws: Draws) -> Floats32:
    """Boards with long grain."""
    brown = np.array([0.55, 0.36, 0.2], np.float32) * draws.uniform(0.6, 1.5)
    dark = brown * draws.uniform(0.5, 0.8)
    side = max(size_hw)
    grain = smooth_noise(size_hw, (side / draws.uniform(20, 60), side * 0.8), draws)
    rings = np.sin(6 * smooth_noise(size_hw, (side / 6, side), draws) * np.pi)
    ground = mixed(0.5 + 0.35 * grain + 0.15 * rings, brown.clip(0, 1), dark)
    return ground if draws.random() < 0.5 else np.ascontiguousarray(np.rot90(turned(ground), 2))


def turned(ground: Floats32) -> Floats32:
    """Return the ground with its grain across, at the same size."""
    height, width = ground.shape[:2]
    return np.asarray(cv2.resize(np.ascontiguousarray(ground.swapaxes(0, 1)), (width, height)), np.float32)


def cloth(size_hw: Size, draws: Draws) -> Floats32:
    """A weave of two threads with soft folds."""
    colour, other = two_colours(draws, 0.12)
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    period = draws.uniform(3, 9)
    weave = 0.5 + 0.5 * np.sin(2 * np.pi * xs / period) * np.sin(2 * np.pi * ys / period)
    folds = octaves(size_hw, max(size_hw) / 3, draws, 2)
    return (mixed(weave, colour, other) * (1 + 0.25 * folds[..., None])).clip(0, 1)


def stone(size_hw: Size, draws: Draws) -> Floats32:
    """Clouded stone with veins."""
    colour, other = two_colours(draws, 0.2)
    clouds = octaves(size_hw, max(size_hw) / draws.uniform(2, 8), draws, 5)
    veins = np.exp(-30 * np.abs(octaves(size_hw, max(size_hw) / 3, draws, 4)))
    return np.asarray((mixed(0.5 + clouds, colour, other) - 0.2 * veins[..., None]).clip(0, 1), np.float32)


def tiles(size_hw: Size, draws: Draws) -> Floats32:
    """Square tiles with joints."""
    colour, other = two_colours(draws, 0.08)
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]]
    side = int(draws.integers(40, 140))
    shift_x, shift_y = draws.integers(0, side, 2)
    row, column = (ys + shift_y) // side, (xs + shift_x) // side
    shade = draws.uniform(0, 1, (row.max() + 1, column.max() + 1)).astype(np.float32)[row, column]
    joint = ((ys + shift_y) % side < 3) | ((xs + shift_x) % side < 3)
    ground = mixed(shade, colour, other)
    ground[joint] *= 0.6
    return ground


def skin(size_hw: Size, draws: Draws) -> Floats32:
    """The palm of a hand, out of focus."""
    tone = np.array([0.85, 0.62, 0.5], np.float32) * draws.uniform(0.45, 1.1)
    creases = np.exp(-40 * np.abs(smooth_noise(size_hw, (max(size_hw) / 2, max(size_hw) / 2), draws)))
    mottled = octaves(size_hw, max(size_hw) / 6, draws, 3)
    return np.asarray((tone * (1 + 0.1 * mottled[..., None] - 0.25 * creases[..., None])).clip(0, 1), np.float32)


def print_(size_hw: Size, draws: Draws) -> Floats32:
    """Paper with lines of print, as on a package insert."""
    ground = paper(size_hw, draws)
    step = int(draws.integers(12, 28))
    for top in range(step, size_hw[0] - step, step):
        left = 10
        while left < size_hw[1] - 20:
            word = int(draws.integers(10, 60))
            if draws.random() < 0.8:
                ground[top : top + step // 3, left : left + word] *= 0.55
            left += word + step // 2
    return np.asarray(cv2.GaussianBlur(ground, (0, 0), 1.0))


GROUNDS: dict[str, Ground] = {
    "paper": paper,
    "wood": wood,
    "cloth": cloth,
    "stone": stone,
    "tiles": tiles,
    "skin": skin,
    "print": print_,
}


def lit(ground: Floats32, draws: Draws) -> Floats32:
    """Light a ground unevenly, as a lamp at one side does."""
    light = 1 - draws.uniform(0, 0.5) * slope((ground.shape[0], ground.shape[1]), draws)
    return (ground * light[..., None]).clip(0, 1)
