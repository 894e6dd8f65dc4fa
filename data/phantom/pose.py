"""Puts the anatomy into a pose: sizes, hinges, tilt, side, and the place on the film. Frame as in `anatomy`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data.classes import BONES
from data.phantom.anatomy import Anatomy, Bone
from data.phantom.surface import Surface
from data.phantom.variation import HandVariation

Array = NDArray[np.float64]

RAYS = tuple(
    tuple(f"finger-{number}" for number in ray)
    for ray in ((3, 2, 1), (7, 6, 5, 4), (11, 10, 9, 8), (15, 14, 13, 12), (19, 18, 17, 16))
)
"""The bones of each finger from the wrist outwards."""

OWN_HINGES = {
    "finger-3": ("cmc_flexion", "cmc_abduction"),
    "finger-2": ("mp_flexion",),
    "finger-1": ("ip_flexion",),
    **{f"finger-{4 * f - 2}": (f"mcp{f}_flexion", f"mcp{f}_abduction") for f in (2, 3, 4, 5)},
    **{f"finger-{4 * f - 3}": (f"pm{f}_flexion",) for f in (2, 3, 4, 5)},
    **{f"finger-{4 * f - 4}": (f"md{f}_flexion",) for f in (2, 3, 4, 5)},
}
"""The hinges at the near end of a bone, which move with that end when the bones before it grow."""

PIXELS_PER_MM = 7.6 / 2048
"""Pixels a millimetre for each pixel of the film's side, from the metacarpals' areas in the contest's table."""

WRIST_ROW = 0.79
"""Height of the wrist joint in the film, from the share of the forearm in the contest's table."""


@dataclass(frozen=True)
class PosedBone:
    """A bone on the film: x, y in mm from the film's upper left corner, z in mm. `shaft` as in `Bone.ends`."""

    name: str
    surface: Surface
    inner: Array
    ends: Array


def pose(anatomy: Anatomy, hand: HandVariation) -> tuple[PosedBone, ...]:
    """All 29 bones of a hand in the film's frame, for a film whose side measures 1 / PIXELS_PER_MM mm."""
    sized = resize(anatomy, hand.body.bone_scales)
    angles = {**hand.angles, **_wrist_angles(hand)}
    turns = {name: _turn(hinge.axis, hinge.anchor, angles.get(name, 0.0)) for name, hinge in sized.hinges.items()}
    return tuple(_place(bone, turns, hand) for bone in sized.bones)


def resize(anatomy: Anatomy, scales: Array) -> Anatomy:
    """The anatomy with each bone scaled: carpal bones about their centres; along a finger the joints stay together."""
    bones = {bone.name: _scale(bone, factor) for bone, factor in zip(anatomy.bones, scales, strict=True)}
    hinges = dict(anatomy.hinges)
    for ray in RAYS:
        moved = np.zeros(3)
        for name in ray:
            bone, factor = anatomy[name], scales[BONES.index(name)]
            for hinge in OWN_HINGES.get(name, ()):
                hinges[hinge] = replace(hinges[hinge], anchor=hinges[hinge].anchor + moved)
            half = (factor - 1) * (bone.ends[1] - bone.ends[0]) / 2
            bones[name] = _move(bones[name], moved + half)
            moved = moved + 2 * half
    return Anatomy(tuple(bones[name] for name in BONES), hinges)


def _scale(bone: Bone, factor: float) -> Bone:
    centre = bone.ends.mean(axis=0)
    return _map(bone, lambda points: centre + factor * (points - centre))


def _move(bone: Bone, by: Array) -> Bone:
    return _map(bone, lambda points: points + by)


def _map(bone: Bone, change: Callable[[Array], Array]) -> Bone:
    return replace(
        bone,
        surface=Surface(change(bone.surface.vertices), bone.surface.faces),
        inner=change(bone.inner),
        ends=change(bone.ends),
    )


def _wrist_angles(hand: HandVariation) -> dict[str, float]:
    """Both carpal rows share the bending of the wrist about equally (Kaufmann et al., J Hand Surg Am 2005)."""
    half = -np.deg2rad(hand.wrist_deg) / 2
    return {"deviation": half, "midcarpal": half}


def _turn(axis: Array, anchor: Array, angle: float) -> Array:
    """The 4 x 4 transform of a rotation by `angle` about `axis` through `anchor` (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    transform = np.eye(4)
    transform[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    transform[:3, 3] = anchor - transform[:3, :3] @ anchor
    return transform


def _place(bone: Bone, turns: dict[str, Array], hand: HandVariation) -> PosedBone:
    transform = _onto_film(hand)
    for name in bone.hinges:
        transform = transform @ turns[name]

    def change(points: Array) -> Array:
        placed: Array = points @ transform[:3, :3].T + transform[:3, 3]
        return placed

    faces = bone.surface.faces[:, ::-1] if hand.left else bone.surface.faces
    return PosedBone(bone.name, Surface(change(bone.surface.vertices), faces), change(bone.inner), change(bone.ends))


def _onto_film(hand: HandVariation) -> Array:
    """Tilt, roll, scale, mirror if left, and put the wrist at its place on the film."""
    origin = np.zeros(3)
    tilted = _turn(np.array([1.0, 0, 0]), origin, hand.tilt_rad[0]) @ _turn(
        np.array([0, 1.0, 0]), origin, hand.tilt_rad[1]
    )
    rolled = _turn(np.array([0, 0, 1.0]), origin, np.deg2rad(hand.roll_deg)) @ tilted
    scale = hand.body.scale * np.diag([-1.0 if hand.left else 1.0, 1.0, 1.0, 1 / hand.body.scale])
    film_mm = 1 / PIXELS_PER_MM
    placed = scale @ rolled
    placed[:3, 3] += (film_mm / 2 + hand.shift[0], film_mm * WRIST_ROW + hand.shift[1], 0)
    return placed
