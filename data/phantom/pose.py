"""Puts the anatomy into a pose: sizes, hinges, tilt, side, and the place on the film. Frame as in `anatomy`."""

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
"""Pixels a millimetre for each pixel of the film's side, from the metacarpals' areas in the contest's table."""

WRIST_ROW = 0.755
"""Height of the wrist joint in the film, from the share of the forearm in the contest's table."""


CENTRING = 0.6
"""How far the hand is moved to the film's middle; at 0 the forearm is in the middle, at 1 the hand."""

MARGIN_MM = 8.0
"""Least distance of a bone to the film's edges, but for the forearm at the lower one."""

TURN_PER_LEAN = 1.13
"""The wrist's turn for each degree by which the line from lunate to metacarpal leans."""

MIDCARPAL_SHARE = 0.35
SCAPHOID_SHARE = 0.5
"""How much the joint between the carpal rows turns, and the scaphoid rises, of the wrist's turn; tried by eye."""


@dataclass(frozen=True)
class PosedBone:
    """A bone on the film: x, y in mm from the film's upper left corner, z in mm. `shaft` as in `Bone.ends`."""

    name: str
    surface: Surface
    inner: Floats
    ends: Floats


@dataclass(frozen=True)
class Box:
    """Left, right and upper bound on the film, mm."""

    left: float
    right: float
    top: float


def pose(anatomy: Anatomy, hand: HandVariation) -> tuple[PosedBone, ...]:
    """All 29 bones of a hand in the film's frame, for a film whose side measures 1 / PIXELS_PER_MM mm."""
    sized = resize(anatomy, hand.body.bone_scales)
    angles = {**hand.angles, **_wrist_angles(hand)}
    turns = {name: turn(hinge.axis, hinge.anchor, angles.get(name, 0.0)) for name, hinge in sized.hinges.items()}
    return _centre(tuple(_place(bone, turns, hand) for bone in sized.bones))


def bounds(bones: tuple[PosedBone, ...]) -> Box:
    """The box around a hand's bones down to the wrist."""
    extents = np.array([extent_xyxy(bone.surface.vertices) for bone in bones if bone.name not in FOREARM])
    return Box(left=float(extents[:, 0].min()), right=float(extents[:, 2].max()), top=float(extents[:, 1].min()))


def _wrist_angles(hand: HandVariation) -> dict[str, float]:
    """Both carpal rows share the bending of the wrist, and the scaphoid rises as the thumb's side opens."""
    turn_rad = float(np.deg2rad(hand.wrist_deg * TURN_PER_LEAN))
    return {
        "deviation": (1 - MIDCARPAL_SHARE) * turn_rad,
        "midcarpal": MIDCARPAL_SHARE * turn_rad,
        "scaphoid": SCAPHOID_SHARE * turn_rad,
    }


def _place(bone: Bone, turns: dict[str, Floats], hand: HandVariation) -> PosedBone:
    transform = _onto_film(hand)
    for name in bone.hinges:
        transform = transform @ turns[name]

    def change(points: Floats) -> Floats:
        placed: Floats = points @ transform[:3, :3].T + transform[:3, 3]
        return placed

    faces = bone.surface.faces[:, ::-1] if hand.left else bone.surface.faces
    return PosedBone(bone.name, Surface(change(bone.surface.vertices), faces), change(bone.inner), change(bone.ends))


def _centre(bones: tuple[PosedBone, ...]) -> tuple[PosedBone, ...]:
    """Move a hand that leans to one side back towards the middle, and wholly inside the film at the top and sides."""
    box, film_mm = bounds(bones), 1 / PIXELS_PER_MM
    x = CENTRING * (film_mm - box.left - box.right) / 2
    x = max(MARGIN_MM - box.left, min(film_mm - MARGIN_MM - box.right, x))
    by = np.array([x, max(0.0, MARGIN_MM - box.top), 0.0])
    return tuple(
        PosedBone(b.name, Surface(b.surface.vertices + by, b.surface.faces), b.inner + by, b.ends + by) for b in bones
    )


def _onto_film(hand: HandVariation) -> Floats:
    """Tilt, roll, scale, mirror if left, and put the wrist at its place on the film."""
    origin = np.zeros(3)
    tilted = turn(np.array([1.0, 0, 0]), origin, hand.tilt_rad[0]) @ turn(
        np.array([0, 1.0, 0]), origin, hand.tilt_rad[1]
    )
    rolled = turn(np.array([0, 0, 1.0]), origin, np.deg2rad(hand.roll_deg)) @ tilted
    scale = hand.body.scale * np.diag([-1.0 if hand.left else 1.0, 1.0, 1.0, 1 / hand.body.scale])
    film_mm = 1 / PIXELS_PER_MM
    placed = scale @ rolled
    placed[:3, 3] += (film_mm / 2 + hand.shift[0], film_mm * WRIST_ROW + hand.shift[1], 0)
    return placed
