"""How far a wrist is bent: the direction from the lunate to the middle finger's metacarpal, against the vertical.

Bent wrists (ulnar deviation) are a tenth of the contest's training hands and more than half of its test hands: the main
difference between the two, so scores are told apart by it. The hand's side cannot be read from the data, so an angle's
sign only says to which side of the image the hand leans.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from data.hand_bone.classes import BONES
from data.masks.rle import Runs, area
from data.polygons.annotation import read_polygons
from utils.arrays import Floats, Ints, Ring, Size

Point: TypeAlias = tuple[float, float]
"""(x, y) in pixels, y downwards; (nan, nan) is the centroid of nothing."""

LUNATE, FINGER_11 = BONES.index("Lunate"), BONES.index("finger-11")
THUMB, LITTLE = BONES.index("finger-3"), BONES.index("finger-19")
"""The metacarpals of the thumb and of the little finger."""

STRAIGHT, BENT = WRISTS = ("straight", "bent")

TEST_SHARE_BENT = 0.57
"""The share of bent wrists among the contest's test hands; among its training hands it is 0.1."""

BENT_BEYOND_DEG = 15.0
"""Straight hands lie near 0, bent ones at 23..38 either way; the gap between is empty enough for any limit in it."""


def wrist_angle_deg(lunate_xy: Point, finger11_xy: Point) -> float:
    """The angle in degrees, -180..180: 0 straight up, positive towards the image's right; nan without both bones."""
    return math.degrees(math.atan2(finger11_xy[0] - lunate_xy[0], lunate_xy[1] - finger11_xy[1]))


def is_bent(angle_deg: float) -> bool:
    """Whether a wrist angle is that of a bent wrist; nan is not."""
    return abs(angle_deg) > BENT_BEYOND_DEG


def wrist_of(runs_of_bones: Sequence[Runs], size_hw: Size) -> str | None:
    """`straight` or `bent`, from the runs of all `BONES`; None where a bone that tells is absent."""
    return wrist_in_words(angle_of_runs(runs_of_bones, size_hw))


def angle_of_runs(runs_of_bones: Sequence[Runs], size_hw: Size) -> float:
    """The wrist angle in degrees from the runs of all `BONES`; nan without a bone that tells."""
    lunate, finger11 = (centroid_of_runs(runs_of_bones[index], size_hw[1]) for index in (LUNATE, FINGER_11))
    return wrist_angle_deg(lunate, finger11)


def describe(runs_of_bones: Sequence[Runs], size_hw: tuple[int, int]) -> str:
    """What the masks of all `BONES` say of a hand, for captions: `thumb at the left, bent wrist`.

    Whether it is a left or a right hand cannot be told: an image may be mirrored.
    """
    lunate, finger11, thumb, little = (
        centroid_of_runs(runs_of_bones[index], size_hw[1]) for index in (LUNATE, FINGER_11, THUMB, LITTLE)
    )
    wrist = wrist_in_words(wrist_angle_deg(lunate, finger11))
    across_xy, along_xy = np.subtract(thumb, little), np.subtract(finger11, lunate)
    # Positive if the thumb is at the right of somebody who looks from the wrist along the middle finger.
    turn = along_xy[0] * across_xy[1] - along_xy[1] * across_xy[0]
    side = None if math.isnan(turn) else f"thumb at the {'right' if turn > 0 else 'left'}"
    return ", ".join(filter(None, (side, wrist and f"{wrist} wrist")))


def wrist_in_words(angle_deg: float) -> str | None:
    """`straight` or `bent`; None for nan."""
    return None if math.isnan(angle_deg) else WRISTS[is_bent(angle_deg)]


def angle_of_label(label: Path | None) -> float:
    """The wrist angle in degrees from a label's polygons alone; nan without a label, or without a bone that tells."""
    if label is None:
        return math.nan
    polygons = read_polygons(label, BONES, allow_missing=True)
    lunate, finger11 = (
        centroid_of_rings([ring for index, ring in polygons if index == bone]) for bone in (LUNATE, FINGER_11)
    )
    return wrist_angle_deg(lunate, finger11)


def centroid_of_rings(rings_xy: Iterable[Ring]) -> Point:
    """The centroid of polygons, weighted by their areas (overlaps count twice); nan if they enclose nothing."""
    moments = sum((_moments(ring.astype(np.float64)) for ring in rings_xy), np.zeros(3))
    return _mean(*moments.tolist())


def centroid_of_runs(runs: Runs, width: int) -> Point:
    """The mean pixel of a mask in an image of that width; nan for the empty mask."""
    ends = runs.sum(axis=1)
    x, y = (_sums_before(ends, width) - _sums_before(runs[:, 0], width)).sum(axis=1).tolist()
    return _mean(area(runs), x, y)


def _mean(weight: float, x: float, y: float) -> Point:
    return (x / weight, y / weight) if weight else (math.nan, math.nan)


def _moments(ring: Floats) -> Floats:
    """Area and its first moments in x and y, by the shoelace formula, whichever way the ring turns."""
    following = np.roll(ring, -1, axis=0)
    cross = ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]
    first = ((ring + following) * cross[:, None]).sum(axis=0) / 6
    moments = np.array([cross.sum() / 2, *first])
    return moments if moments[0] >= 0 else -moments


def _sums_before(pixels: Ints, width: int) -> Ints:
    """The sums of x and of y over all pixels before each of `pixels`, int64[2, N]: full rows, then the begun one."""
    rows, begun = np.divmod(pixels, width)
    x = rows * (width * (width - 1) // 2) + begun * (begun - 1) // 2
    y = width * (rows * (rows - 1) // 2) + begun * rows
    return np.stack((x, y))
