"""Where the film lies under the hand: its size in mm, its pixels, and the opening of the beam inside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from data.phantom.anatomy import FOREARM
from data.phantom.pose import PIXELS_PER_MM, PosedBone, bounds
from data.phantom.radiograph import Extra, Shadow
from data.phantom.surface import Surface
from data.phantom.variation import HandVariation
from data.phantom.wide.draw import chance, uniform
from data.phantom.wide.ranges import Ranges
from utils.arrays import Floats, Floats32

MARGIN_MM = 10.0
ELBOW_MM = 30.0
"""Least distance of a film's lower edge to the end of the shorter bone of the forearm, and the width of that end."""

NARROWEST = 0.5
"""Least ratio of a film's shorter side to its longer one."""


@dataclass(frozen=True)
class Frame:
    """A film in mm of the posed hand: `corner` is its upper left one, `opening` the corners [4, 2] of the beam."""

    corner: tuple[float, float]
    size_mm: tuple[float, float]  # width and height
    opening: Floats
    bordered: bool

    @property
    def zoom(self) -> float:
        """Factor that gives the longer side the length of the square image that `pose` lays hands on."""
        return 1 / PIXELS_PER_MM / max(self.size_mm)

    def size_px(self, longer_px: int) -> tuple[int, int]:
        """Return (H, W) of a film whose longer side has `longer_px` pixels."""
        width, height = (max(1, round(longer_px * side / max(self.size_mm))) for side in self.size_mm)
        return height, width

    def place(self, points: Floats) -> Floats:
        """Return points [N, 3] of the posed hand on the square image whose upper left part is the film; z stays."""
        placed: Floats = (points - (*self.corner, 0.0)) * (self.zoom, self.zoom, 1.0)
        return placed

    def beam(self, size_hw: tuple[int, int], *, edge_px: float = 0.0) -> Floats32:
        """Return 1 in the opening of the beam and 0 outside, float32[H, W], with a soft edge of `edge_px`."""
        per_mm = max(size_hw) / max(self.size_mm)
        corners = np.rint((self.opening - self.corner) * per_mm).astype(np.int32)
        opening = cv2.fillPoly(np.zeros(size_hw, dtype=np.float32), [corners], 1.0)
        soft: Floats32 = cv2.GaussianBlur(opening, (0, 0), edge_px) if edge_px else opening
        return soft


def draw_frame(rng: Generator, ranges: Ranges, bones: tuple[PosedBone, ...], hand: HandVariation) -> Frame:
    """Draw an opening of the beam around a hand, and a film that it is a part of."""
    left, top, right, bottom = _draw_opening(rng, ranges, bones, hand)
    bordered = chance(rng, ranges.bordered)
    x0, y0, x1, y1 = left, top, right, bottom
    if bordered:
        longer = max(right - left, bottom - top)
        widths = [longer * uniform(rng, ranges.border) * chance(rng, 0.75) for _ in range(4)]
        x0, y0, x1, y1 = left - widths[0], top - widths[1], right + widths[2], bottom + widths[3]
    opening = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    turn_deg = float(np.clip(rng.normal(0, 1.0), -2.5, 2.5))
    # A film that the beam covers has no edge to be seen.
    opening = _turned(opening, turn_deg) if bordered else _widened(opening)
    frame = Frame((x0, y0), (x1 - x0, y1 - y0), opening, bordered)
    return frame if bordered or not _too_narrow(frame) else _less_narrow(frame)


def place_bones(frame: Frame, bones: tuple[PosedBone, ...]) -> tuple[PosedBone, ...]:
    """Return the bones on the square image whose upper left part is the film."""
    return tuple(
        PosedBone(b.name, place_surface(frame, b.surface), frame.place(b.inner), frame.place(b.ends)) for b in bones
    )


def place_surface(frame: Frame, surface: Surface) -> Surface:
    return Surface(frame.place(surface.vertices), surface.faces)


def place_extra(frame: Frame, extra: Extra) -> Extra:
    return replace(extra, surface=place_surface(frame, extra.surface))


def cut(frame: Frame, shadows: list[Shadow], size_hw: tuple[int, int]) -> list[Shadow]:
    """Return masks without what lies beside the film or outside the beam."""
    beam = frame.beam(size_hw).astype(np.uint8)
    cropped = []
    for shadow in shadows:
        x, y = shadow.corner
        x, y = min(x, size_hw[1] - 1), min(y, size_hw[0] - 1)
        height, width = min(shadow.mask_hw.shape[0], size_hw[0] - y), min(shadow.mask_hw.shape[1], size_hw[1] - x)
        cropped.append(Shadow((x, y), shadow.mask_hw[:height, :width] * beam[y : y + height, x : x + width]))
    return cropped


def _draw_opening(
    rng: Generator, ranges: Ranges, bones: tuple[PosedBone, ...], hand: HandVariation
) -> tuple[float, float, float, float]:
    """Draw left, top, right and bottom of the opening, mm. All bones but those of the forearm lie inside."""
    gaps = [uniform(rng, ranges.side_gap_mm) * rng.uniform(0.1, 1.0) + 3 for _ in range(3)]
    box, forearm = bounds(bones), [bone for bone in bones if bone.name in FOREARM]
    wrist = max(float(bone.ends[1, 1]) for bone in forearm)
    # The forearm is cut off across its axis, so one corner of its end is higher if it lies aslant.
    corner_mm = ELBOW_MM * abs(np.sin(np.deg2rad(hand.roll_deg)))
    end = min(float(bone.surface.vertices[:, 1].max()) for bone in forearm) - MARGIN_MM - corner_mm
    bottom = min(wrist + uniform(rng, ranges.forearm_mm), end)
    # A hand that lies aslant has its thumb or its little finger below the wrist.
    bottom = max(bottom, box.bottom + 4)
    return box.left - gaps[0], box.top - gaps[1], box.right + gaps[2], bottom


def _turned(corners: Floats, degrees: float) -> Floats:
    angle = np.deg2rad(degrees)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = corners.mean(axis=0)
    turned: Floats = (corners - centre) @ spin.T + centre
    return turned


def _widened(corners: Floats) -> Floats:
    widened: Floats = corners + 50 * np.sign(corners - corners.mean(axis=0))
    return widened


def _too_narrow(frame: Frame) -> bool:
    return frame.size_mm[0] < NARROWEST * frame.size_mm[1]


def _less_narrow(frame: Frame) -> Frame:
    """Widen a film on both sides until it has the least ratio."""
    more = NARROWEST * frame.size_mm[1] - frame.size_mm[0]
    return replace(
        frame, corner=(frame.corner[0] - more / 2, frame.corner[1]), size_mm=(frame.size_mm[0] + more, frame.size_mm[1])
    )
