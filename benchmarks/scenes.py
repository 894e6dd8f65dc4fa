"""Pictures with exact truth to measure cut-outs by: objects with hair, soft or thin parts before grounds of many kinds.

A picture is alpha · foreground + (1 - alpha) · ground, so its alpha and its colours are known at every pixel.
"""

# Shapes: H/W pixels of the picture, h/w pixels of a sheet that is drawn larger and then reduced.
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from data.cutout.pills.grounds import GROUNDS, lit, octaves
from utils.arrays import Bytes, Floats, Floats32, Size

Draws: TypeAlias = np.random.Generator
Shape: TypeAlias = Callable[[Size, Draws], Floats32]
"""Size and random numbers → alpha float32[H, W] in 0..1."""

FINER = 4
"""A sheet has so many pixels for each of the picture's, along each side."""
SHARP_PX = 0.6
"""Standard deviation of the lens's blur, of whatever is in focus."""


@dataclass(frozen=True)
class Scene:
    """A picture uint8[H, W, 3] (RGB), its alpha float32[H, W], and the object's own colours uint8[H, W, 3]."""

    name: str
    picture: Bytes
    alpha: Floats32
    colours: Bytes


def draw_scene(shape: str, ground: str, seed: int, size_hw: Size = (480, 640)) -> Scene:
    """Draw an object of this shape before a ground of this name. Equal arguments give equal scenes."""
    draws = np.random.default_rng([seed, *shape.encode(), *ground.encode()])
    alpha_HW = SHAPES[shape](size_hw, draws)
    behind = lit(GROUNDS[ground](size_hw, draws), draws)
    front = coat(size_hw, draws, behind[alpha_HW > 0].mean(0))
    mixed = alpha_HW[..., None] * front + (1 - alpha_HW[..., None]) * behind
    noisy = mixed + draws.normal(0, 0.006, mixed.shape)
    return Scene(f"{shape} on {ground}", as_bytes(noisy), alpha_HW, as_bytes(front))


def coat(size_hw: Size, draws: Draws, behind: Floats32) -> Floats32:
    """Return the colours of an object, float32[H, W, 3] in 0..1, mottled and unlike the mean colour `behind` it."""
    base = draws.uniform(0.05, 0.95, 3)
    while np.abs(base - behind).sum() < 0.6:
        base = draws.uniform(0.05, 0.95, 3)
    mottled = octaves(size_hw, max(size_hw) / 6, draws)
    shade = 1 + 0.2 * mottled[..., None] + 0.06 * octaves(size_hw, 6, draws)[..., None] * draws.uniform(0.5, 1, 3)
    return np.asarray((base * shade).clip(0, 1), np.float32)


def as_bytes(colours: Floats32 | Floats) -> Bytes:
    """Return colours in 0..1 as bytes, rounded."""
    return np.asarray(np.round(colours.clip(0, 1) * 255), np.uint8)


def hair(size_hw: Size, draws: Draws) -> Floats32:
    """A head with some hundred single hairs of 0.7 to 2 px."""
    sheet, middle, radius = head(size_hw, draws)
    for _ in range(350):
        stroke(sheet, middle, radius, draws, length=(0.1, 0.75), width_px=(0.7, 2.0))
    return in_focus(sheet)


def fur(size_hw: Size, draws: Draws) -> Floats32:
    """A round body with a dense coat of short hair."""
    sheet, middle, radius = head(size_hw, draws)
    for _ in range(2500):
        stroke(sheet, middle, radius, draws, length=(0.05, 0.22), width_px=(0.6, 1.2))
    return in_focus(sheet)


def soft_disc(size_hw: Size, draws: Draws) -> Floats32:
    """A disc out of focus."""
    sheet, _, radius = head(size_hw, draws)
    return in_focus(sheet, radius * draws.uniform(0.06, 0.12))


def ring(size_hw: Size, draws: Draws) -> Floats32:
    """A ring whose hole shows the ground."""
    sheet, middle, radius = head(size_hw, draws)
    cv2.circle(sheet, on_sheet(middle), round(radius * FINER * draws.uniform(0.35, 0.55)), 0, -1, cv2.LINE_AA)
    return in_focus(sheet)


def leaf(size_hw: Size, draws: Draws) -> Floats32:
    """A lobed outline, sharp."""
    sheet, middle, radius = blank(size_hw, draws)
    turn = np.linspace(0, 2 * np.pi, 400)
    lobes, depth, twist = draws.integers(5, 10), draws.uniform(0.15, 0.35), draws.uniform(0, 6)
    reach = radius * (1 + depth * np.sin(lobes * turn + twist) + 0.06 * np.sin(31 * turn))
    ring_px = np.stack([middle[0] + reach * np.cos(turn), middle[1] + reach * np.sin(turn)], 1) * FINER
    cv2.fillPoly(sheet, [np.round(ring_px).astype(np.int32)], 255, cv2.LINE_AA)
    return in_focus(sheet)


def comb(size_hw: Size, draws: Draws) -> Floats32:
    """A bar with teeth of 1 to 3 px."""
    sheet, middle, radius = blank(size_hw, draws)
    left, right, top = (round(FINER * value) for value in (middle[0] - radius, middle[0] + radius, middle[1]))
    cv2.rectangle(sheet, (left, top - round(FINER * radius * 0.8)), (right, top), 255, -1)
    for index, x in enumerate(range(left, right, 9 * FINER)):
        width = FINER * (1 + index % 3)
        cv2.rectangle(sheet, (x, top), (x + width - 1, top + round(FINER * radius * 0.9)), 255, -1)
    return in_focus(sheet)


def racket(size_hw: Size, draws: Draws) -> Floats32:
    """A frame, a handle, and strings of 1 px."""
    sheet, middle, radius = blank(size_hw, draws)
    centre, axes = on_sheet(middle), (round(FINER * radius * 0.8), round(FINER * radius))
    inside = np.zeros_like(sheet)
    cv2.ellipse(inside, centre, axes, 0, 0, 360, 255, -1)
    sheet[::, :: 14 * FINER] = 255
    for shift in range(1, FINER):
        sheet[:, shift :: 14 * FINER] = 255
        sheet[shift :: 14 * FINER] = 255
    sheet[:: 14 * FINER] = 255
    sheet = cv2.bitwise_and(sheet, inside)
    cv2.ellipse(sheet, centre, axes, 0, 0, 360, 255, round(FINER * 8), cv2.LINE_AA)
    foot = (centre[0], min(sheet.shape[0], centre[1] + round(1.6 * axes[1])))
    cv2.line(sheet, (centre[0], centre[1] + axes[1]), foot, 255, round(FINER * 12), cv2.LINE_AA)
    return in_focus(sheet)


def web(size_hw: Size, draws: Draws) -> Floats32:
    """A body with a web of threads of 1 to 2 px around it."""
    sheet, middle, radius = blank(size_hw, draws)
    centre = on_sheet(middle)
    cv2.circle(sheet, centre, round(FINER * radius * 0.45), 255, -1, cv2.LINE_AA)
    for turn in np.linspace(0, 2 * np.pi, 14, endpoint=False):
        tip = (round(centre[0] + FINER * radius * np.cos(turn)), round(centre[1] + FINER * radius * np.sin(turn)))
        cv2.line(sheet, centre, tip, 255, FINER * 2, cv2.LINE_AA)
    for share in (0.6, 0.75, 0.9):
        cv2.circle(sheet, centre, round(FINER * radius * share), 255, FINER, cv2.LINE_AA)
    return in_focus(sheet)


def letters(size_hw: Size, draws: Draws) -> Floats32:
    """Letters with holes."""
    sheet, middle, radius = blank(size_hw, draws)
    scale, thick = FINER * radius / 22, round(FINER * radius * 0.22)
    (width, height), _ = cv2.getTextSize("R8", cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    corner = (round(FINER * middle[0] - width / 2), round(FINER * middle[1] + height / 2))
    cv2.putText(sheet, "R8", corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    return in_focus(sheet)


def wheel(size_hw: Size, draws: Draws) -> Floats32:
    """A rim, a hub, and spokes of 1 to 3 px."""
    sheet, middle, radius = blank(size_hw, draws)
    centre, turned = on_sheet(middle), draws.uniform(0, 1)
    for index, turn in enumerate(np.linspace(turned, turned + 2 * np.pi, 18, endpoint=False)):
        tip = on_sheet((middle[0] + radius * np.cos(turn), middle[1] + radius * np.sin(turn)))
        cv2.line(sheet, centre, tip, 255, FINER * (1 + index % 3), cv2.LINE_AA)
    cv2.circle(sheet, centre, round(FINER * radius), 255, FINER * 10, cv2.LINE_AA)
    cv2.circle(sheet, centre, round(FINER * radius * 0.2), 255, -1, cv2.LINE_AA)
    return in_focus(sheet)


def branches(size_hw: Size, draws: Draws) -> Floats32:
    """A trunk that parts into ever thinner branches, with small leaves at their ends."""
    sheet, middle, radius = blank(size_hw, draws)
    tips = [((middle[0], middle[1] + radius), -np.pi / 2, radius * 0.6, 12.0)]
    while tips:
        start, turn, length, width = tips.pop()
        end = (start[0] + length * np.cos(turn), start[1] + length * np.sin(turn))
        cv2.line(sheet, on_sheet(start), on_sheet(end), 255, max(1, round(FINER * width)), cv2.LINE_AA)
        if width < 1.5:
            cv2.ellipse(sheet, on_sheet(end), (FINER * 6, FINER * 3), np.degrees(turn), 0, 360, 255, -1, cv2.LINE_AA)
            continue
        for side in (-1, 1):
            tips.append((end, turn + side * draws.uniform(0.25, 0.7), length * draws.uniform(0.6, 0.85), width * 0.6))
    return in_focus(sheet)


SHAPES: dict[str, Shape] = {
    "hair": hair,
    "fur": fur,
    "soft disc": soft_disc,
    "ring": ring,
    "leaf": leaf,
    "comb": comb,
    "racket": racket,
    "web": web,
    "letters": letters,
    "wheel": wheel,
    "branches": branches,
}
THIN = ("hair", "comb", "racket", "web", "wheel")
"""Shapes with parts of 1 to 3 px."""


def blank(size_hw: Size, draws: Draws) -> tuple[Bytes, tuple[float, float], float]:
    """Return an empty sheet uint8[h, w], the object's middle (x, y) and its radius in pixels of the picture."""
    height, width = size_hw
    radius = min(size_hw) * draws.uniform(0.27, 0.34)
    middle = (width * draws.uniform(0.45, 0.55), height * draws.uniform(0.45, 0.55))
    return np.zeros((height * FINER, width * FINER), np.uint8), middle, radius


def head(size_hw: Size, draws: Draws) -> tuple[Bytes, tuple[float, float], float]:
    """Return a sheet with a disc, and the disc's middle and radius, as `blank` does."""
    sheet, middle, radius = blank(size_hw, draws)
    radius *= 0.8
    cv2.circle(sheet, on_sheet(middle), round(radius * FINER), 255, -1, cv2.LINE_AA)
    return sheet, middle, radius


def stroke(
    sheet: Bytes,
    middle: tuple[float, float],
    radius: float,
    draws: Draws,
    *,
    length: tuple[float, float],
    width_px: tuple[float, float],
) -> None:
    """Draw one bent hair from the edge of a disc outwards; its length is a share of the radius."""
    turn, bend = draws.uniform(0, 2 * np.pi), draws.normal(0, 0.5)
    out = np.linspace(0.9, 1 + draws.uniform(*length), 12)
    angles = turn + bend * (out - 0.9) ** 2
    path = np.stack([middle[0] + radius * out * np.cos(angles), middle[1] + radius * out * np.sin(angles)], 1)
    width = max(1, round(FINER * draws.uniform(*width_px)))
    cv2.polylines(sheet, [np.round(path * FINER).astype(np.int32)], False, 255, width, cv2.LINE_AA)


def on_sheet(point_px: Sequence[float]) -> tuple[int, int]:
    """Return a point of the picture (x, y) as pixels of a sheet."""
    return round(point_px[0] * FINER), round(point_px[1] * FINER)


def in_focus(sheet: Bytes, blur_px: float = SHARP_PX) -> Floats32:
    """Reduce a sheet to the picture's size, blurred by the lens: alpha float32[H, W] in 0..1."""
    height, width = sheet.shape
    alpha_HW = cv2.resize(sheet, (width // FINER, height // FINER), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(alpha_HW, (0, 0), blur_px) / 255, np.float32)
