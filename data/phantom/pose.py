"""Pose the anatomy: sizes, hinges, tilt, side and position on the image. Coordinates are those of `anatomy`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.phantom.anatomy import FOREARM, Anatomy, Bone, turn
from data.phantom.projection import extent_xyxy
from data.phantom.proportions import resize
from data.phantom.surface import Surface
from data.phantom.variation import HandVariation
from utils.arrays import Floats

PIXELS_PER_MM = 7.8 / 2048
"""Pixels per mm of an image of side 1; times the side it is pixels per mm. Source: the contest's metacarpal areas."""

WRIST_ROW = 0.755
"""Height of the wrist joint, 0 (top) to 1 (bottom). Source: the forearm's share of the contest's images."""


CENTRING = 0.6
"""How far a hand is moved to the image's middle: at 0 the forearm is in the middle, at 1 the hand."""

MARGIN_MM = 8.0
"""Least distance of a bone to the image's edges, except for the forearm at the lower edge."""

TURN_PER_LEAN = 1.13
"""Degrees that the wrist turns for each degree that the line from lunate to metacarpal leans."""

MIDCARPAL_SHARE = 0.35
SCAPHOID_SHARE = 0.5
"""Shares of the wrist's turn by which the joint between the carpal rows turns and the scaphoid rises; tried by eye."""


@dataclass(frozen=True)
class PosedBone:
    """A bone on the image: x and y in mm from the upper left corner, z in mm. `inner` and `ends` are as in `Bone`."""

    name: str
    surface: Surface
    inner: Floats
    ends: Floats


@dataclass(frozen=True)
class Box:
    """Bounds of the bones on the image, mm."""

    left: float
    right: float
    top: float
    bottom: float


def pose(anatomy: Anatomy, hand: HandVariation) -> tuple[PosedBone, ...]:
    """Return all 29 bones of a hand on an image whose side measures 1 / PIXELS_PER_MM mm."""
    sized = resize(anatomy, hand.body.bone_scales)
    angles = {**hand.angles, **_wrist_angles(hand)}
    turns = {name: turn(hinge.axis, hinge.anchor, angles.get(name, 0.0)) for name, hinge in sized.hinges.items()}
    return _centre(tuple(_place(bone, turns, hand) for bone in sized.bones))


def bounds(bones: tuple[PosedBone, ...]) -> Box:
    """Return the box around a hand's bones, without the forearm."""
    extents = np.array([extent_xyxy(bone.surface.vertices) for bone in bones if bone.name not in FOREARM])
    left, top = extents[:, :2].min(axis=0).tolist()
    right, bottom = extents[:, 2:].max(axis=0).tolist()
    return Box(left, right, top, bottom)


def _wrist_angles(hand: HandVariation) -> dict[str, float]:
    """Return the angles of a bent wrist: both carpal rows share the bend, the scaphoid rises on the thumb's side."""
    turn_rad = float(np.deg2rad(hand.wrist_deg * TURN_PER_LEAN))
    return {
        "deviation": (1 - MIDCARPAL_SHARE) * turn_rad,
        "midcarpal": MIDCARPAL_SHARE * turn_rad,
        "scaphoid": SCAPHOID_SHARE * turn_rad,
    }


def _place(bone: Bone, turns: dict[str, Floats], hand: HandVariation) -> PosedBone:
    transform = _onto_image(hand)
    for name in bone.hinges:
        transform = transform @ turns[name]

    def change(points: Floats) -> Floats:
        placed: Floats = points @ transform[:3, :3].T + transform[:3, 3]
        return placed

    faces = bone.surface.faces[:, ::-1] if hand.left else bone.surface.faces
    return PosedBone(bone.name, Surface(change(bone.surface.vertices), faces), change(bone.inner), change(bone.ends))


def _centre(bones: tuple[PosedBone, ...]) -> tuple[PosedBone, ...]:
    """Move a hand that leans to one side towards the middle, so far that its top and sides lie inside the image."""
    box, side_mm = bounds(bones), 1 / PIXELS_PER_MM
    x = CENTRING * (side_mm - box.left - box.right) / 2
    x = max(MARGIN_MM - box.left, min(side_mm - MARGIN_MM - box.right, x))
    by = np.array([x, max(0.0, MARGIN_MM - box.top), 0.0])
    return tuple(
        PosedBone(b.name, Surface(b.surface.vertices + by, b.surface.faces), b.inner + by, b.ends + by) for b in bones
    )


def _onto_image(hand: HandVariation) -> Floats:
    """Return the 4 x 4 transform that tilts, rolls, scales, mirrors a left hand, and moves the wrist into place."""
    origin = np.zeros(3)
    tilted = turn(np.array([1.0, 0, 0]), origin, hand.tilt_rad[0]) @ turn(
        np.array([0, 1.0, 0]), origin, hand.tilt_rad[1]
    )
    rolled = turn(np.array([0, 0, 1.0]), origin, np.deg2rad(hand.roll_deg)) @ tilted
    scale = hand.body.scale * np.diag([-1.0 if hand.left else 1.0, 1.0, 1.0, 1 / hand.body.scale])
    side_mm = 1 / PIXELS_PER_MM
    placed = scale @ rolled
    placed[:3, 3] += (side_mm / 2 + hand.shift[0], side_mm * WRIST_ROW + hand.shift[1], 0)
    return placed
