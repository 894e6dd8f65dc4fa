"""Draw hands more varied than the contest's, and loosen the carpus of a posed hand.

On a radiograph from back to palm, bones of a wrist overlap differently from hand to hand: the pisiform lies before the
triquetrum, the trapezoid partly behind the trapezium, the bases of the metacarpals before the distal row, and the rims
of the radius before lunate and scaphoid, as far as the palm is tilted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from data.hand_bone.classes import BONES
from data.phantom.anatomy import FOREARM, turn
from data.phantom.pose import PosedBone
from data.phantom.proportions import CARPUS
from data.phantom.surface import Surface
from data.phantom.variation import BONE_SCALE_SD, Body, HandVariation, draw_angles, draw_rings, draw_sesamoids
from data.phantom.wide.draw import chance, uniform
from data.phantom.wide.ranges import Ranges
from utils.arrays import Floats

CARPAL_SHIFT_MM = np.array([0.8, 0.8, 1.2])
CARPAL_TURN_RAD = 0.15
CARPAL_STRETCH = 0.04
"""Standard deviations of a carpal bone's place, turn and proportions; tried by eye."""

CROWDING = (0.95, 1.10)
"""Common factor of the size of all carpal bones."""

WIDTH_SD = 0.06
WAVE_MM = 0.25
WAVE_LENGTH_MM = (15.0, 45.0)
"""Standard deviations of a long bone's width and of its outline, and the length over which the outline changes."""

ULNAR_VARIANCE_MM = 1.6
"""Standard deviation of how far the ulna reaches beyond the radius. Source: Schuind et al. 1992: -0.9 mm, sd 1.5."""

FINGERS = (2, 3, 4, 5)


def draw_body(rng: Generator, ranges: Ranges) -> Body:
    """Draw what both hands of a patient share; larger carpal bones overlap more."""
    bone_scales = 1 + 1.3 * BONE_SCALE_SD * np.clip(rng.standard_normal(len(BONES)), -2.2, 2.2)
    bone_scales[[BONES.index(bone) for bone in CARPUS]] *= rng.uniform(*CROWDING)
    return Body(
        scale=uniform(rng, ranges.hand_scale),
        bone_scales=bone_scales,
        cortex=uniform(rng, ranges.cortex),
        spongy=float(rng.uniform(0.5, 1.6)),
        tissue=uniform(rng, ranges.tissue),
        density=uniform(rng, ranges.density),
    )


def draw_hand(rng: Generator, ranges: Ranges, body: Body, *, left: bool, bent: bool) -> HandVariation:
    """Draw one hand; `bent` bends its wrist to the ulnar side, else it may lean a little to either side."""
    far = float(rng.choice((-1.0, 1.0))) * uniform(rng, ranges.far_roll)
    roll = far if chance(rng, ranges.far_rolled) else _cut_normal(rng, ranges.roll_deg)
    return HandVariation(
        body=body,
        left=left,
        wrist_deg=float(rng.uniform(18, 40)) if bent else _cut_normal(rng, 8.0),
        angles=_draw_angles(rng, ranges),
        tilt_rad=(_cut_normal(rng, 0.11), _cut_normal(rng, 0.13)),
        roll_deg=roll,
        shift=(0.0, 0.0),
        texture_seed=int(rng.integers(2**32)),
        sesamoids=draw_sesamoids(rng),
        rings=draw_rings(rng),
    )


def reshape(rng: Generator, bones: tuple[PosedBone, ...]) -> tuple[PosedBone, ...]:
    """Make bones slimmer or thicker, and change their outlines smoothly: the model's are those of one person."""
    return tuple(_reshaped(rng, bone) for bone in bones)


def loosen(rng: Generator, bones: tuple[PosedBone, ...]) -> tuple[PosedBone, ...]:
    """Move, turn and stretch each carpal bone a little about its centre, and the ulna along the forearm."""
    along = bones[BONES.index("Ulna")].ends
    down = (along[0] - along[1]) / np.linalg.norm(along[0] - along[1])
    loosened = []
    for bone in bones:
        centre = bone.ends.mean(axis=0)
        if bone.name in CARPUS:
            bone = _changed(bone, _nudge(rng, centre))
        elif bone.name in FOREARM:
            by = down * ULNAR_VARIANCE_MM * float(np.clip(rng.normal(), -2, 2)) * (bone.name == "Ulna")
            bone = _changed(bone, _translation(by))
        loosened.append(bone)
    return tuple(loosened)


def _draw_angles(rng: Generator, ranges: Ranges) -> dict[str, float]:
    """Draw the angles of all hinges: thumbs anywhere, fingers together or spread, flat or bent."""
    angles = draw_angles(rng)
    angles |= {
        "flexion": _cut_normal(rng, 0.1),
        "pro_sup": _cut_normal(rng, 0.1),
        "cmc_flexion": float(rng.uniform(0.0, 0.62)),
        "cmc_abduction": float(rng.uniform(-0.65, -0.08)),
        "cmc_rotation": 0.55 + _cut_normal(rng, 0.25),
        "mp_flexion": 0.1 + _cut_normal(rng, 0.2),
        "ip_flexion": 0.1 + _cut_normal(rng, 0.25),
    }
    spread = float(rng.uniform(-0.1, 0.26))
    for finger, side in zip(FINGERS, (0.6, 0.1, -0.4, -1.0), strict=True):
        angles[f"mcp{finger}_abduction"] = float(np.clip(side * spread + rng.normal(0, 0.035), -0.3, 0.3))
    if chance(rng, ranges.bent_fingers):
        _bend_fingers(rng, angles)
    return angles


def _bend_fingers(rng: Generator, angles: dict[str, float]) -> None:
    """Bend all fingers of a hand by about the same, or one or two of them."""
    together = chance(rng, 0.5)
    chosen = FINGERS if together else tuple(rng.choice(FINGERS, size=int(rng.integers(1, 3)), replace=False))
    common = rng.uniform(0.1, 0.6)
    for finger in chosen:
        bend = common * rng.uniform(0.8, 1.2) if together else rng.uniform(0.2, 0.8)
        angles[f"mcp{finger}_flexion"] = float(bend * rng.uniform(0.3, 0.9))
        angles[f"pm{finger}_flexion"] = float(bend * rng.uniform(0.8, 1.4))
        angles[f"md{finger}_flexion"] = float(bend * rng.uniform(0.3, 0.9))


def _reshaped(rng: Generator, bone: PosedBone) -> PosedBone:
    """Widen a long bone across its axis, and let two waves of some tenths of a mm run through any bone."""
    centre = bone.ends.mean(axis=0)
    axis = (bone.ends[1] - bone.ends[0]) / np.linalg.norm(bone.ends[1] - bone.ends[0])
    width = 1.0 if bone.name in CARPUS else 1 + WIDTH_SD * float(np.clip(rng.normal(), -2, 2))
    waves = [
        (WAVE_MM * rng.standard_normal(3), rng.standard_normal(3), rng.uniform(*WAVE_LENGTH_MM), rng.uniform(0, 6.28))
        for _ in range(2)
    ]

    def change(points: Floats) -> Floats:
        away = points - centre
        along = (away @ axis)[:, None] * axis
        changed: Floats = centre + along + width * (away - along)
        for by, direction, length, phase in waves:
            way = away @ (direction / np.linalg.norm(direction)) * (2 * np.pi / length)
            changed = changed + np.sin(way + phase)[:, None] * by
        return changed

    return _moved(bone, change)


def _nudge(rng: Generator, centre: Floats) -> Floats:
    """Return a random small 4 x 4 change about a centre."""
    stretch = np.eye(4)
    stretch[:3, :3] = np.diag(1 + CARPAL_STRETCH * np.clip(rng.standard_normal(3), -2, 2))
    stretch[:3, 3] = centre - stretch[:3, :3] @ centre
    change = _translation(CARPAL_SHIFT_MM * np.clip(rng.standard_normal(3), -2, 2)) @ stretch
    for axis in np.eye(3):
        change = change @ turn(axis, centre, CARPAL_TURN_RAD * float(np.clip(rng.normal(), -2, 2)))
    return change


def _translation(by: Floats) -> Floats:
    transform = np.eye(4)
    transform[:3, 3] = by
    return transform


def _changed(bone: PosedBone, transform: Floats) -> PosedBone:
    return _moved(bone, lambda points: points @ transform[:3, :3].T + transform[:3, 3])


def _moved(bone: PosedBone, move: Callable[[Floats], Floats]) -> PosedBone:
    surface = Surface(move(bone.surface.vertices), bone.surface.faces)
    return PosedBone(bone.name, surface, move(bone.inner), move(bone.ends))


def _cut_normal(rng: Generator, sd: float) -> float:
    return sd * float(np.clip(rng.normal(), -2.2, 2.2))
