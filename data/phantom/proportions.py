"""The proportions of the mean hand: changes to `myo-sim`'s hand that give its bones the areas of real radiographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from data.hand_bone.classes import BONES
from data.phantom.anatomy import FOREARM, Anatomy, Bone, load_anatomy, turn
from data.phantom.surface import Surface
from utils.arrays import Floats

RAYS = tuple(
    tuple(f"finger-{number}" for number in ray)
    for ray in ((3, 2, 1), (7, 6, 5, 4), (11, 10, 9, 8), (15, 14, 13, 12), (19, 18, 17, 16))
)
"""The bones of each finger from the wrist outwards."""

CARPUS = BONES[19:27]

OWN_HINGES: dict[str, tuple[str, ...]] = {
    "finger-3": ("cmc_flexion", "cmc_abduction", "cmc_rotation"),
    "finger-2": ("mp_flexion",),
    "finger-1": ("ip_flexion",),
    **{f"finger-{4 * finger - 2}": (f"mcp{finger}_flexion", f"mcp{finger}_abduction") for finger in (2, 3, 4, 5)},
    **{f"finger-{4 * finger - 3}": (f"pm{finger}_flexion",) for finger in (2, 3, 4, 5)},
    **{f"finger-{4 * finger - 4}": (f"md{finger}_flexion",) for finger in (2, 3, 4, 5)},
}
"""The hinges at the proximal end of each bone, which move with that end if bones before it change in size."""

SIZE: dict[str, float] = {
    "finger-1": 1.113,
    "finger-2": 1.020,
    "finger-3": 0.986,
    "finger-4": 1.079,
    "finger-5": 0.982,
    "finger-6": 0.979,
    "finger-7": 0.952,
    "finger-8": 1.063,
    "finger-9": 1.004,
    "finger-10": 0.990,
    "finger-11": 0.955,
    "finger-12": 1.080,
    "finger-13": 1.045,
    "finger-14": 1.007,
    "finger-15": 0.928,
    "finger-16": 1.083,
    "finger-17": 0.902,
    "finger-18": 0.957,
    "finger-19": 0.940,
    "Trapezium": 0.942,
    "Trapezoid": 0.919,
    "Capitate": 1.121,
    "Hamate": 1.076,
    "Scaphoid": 1.088,
    "Lunate": 1.047,
    "Triquetrum": 0.907,
    "Pisiform": 0.994,
    "Radius": 1.143,
    "Ulna": 1.050,
}
"""Size of each bone relative to `myo-sim`'s. Source: the mean areas of the contest's 288 test hands."""

SCAPHOID_EXTENSION = 0.3
"""Radians by which the scaphoid is turned: the model's is steeper than on radiographs of a flat hand."""

CARPUS_SPREAD = 1.08
"""Factor of the distances between the carpal bones' centres, which grow with the bones: joints keep their width."""

FOREARM_SHIFT_MM = {"Radius": (0.5, -4.0, 0.0), "Ulna": (0.5, 1.5, 0.0)}
"""Shifts that narrow the wrist joint to its cartilage, about 2 mm; both bones then end at one height."""


@cache
def mean_hand() -> Anatomy:
    """Return the hand that all phantoms are variations of; it is read once per process (about 2 s)."""
    return proportion(load_anatomy())


def proportion(anatomy: Anatomy) -> Anatomy:
    """Return the model's hand with the proportions above."""
    bones = {bone.name: bone for bone in anatomy.bones}
    centre = bones["Capitate"].ends.mean(axis=0)
    for name in CARPUS:
        bones[name] = _move(bones[name], (CARPUS_SPREAD - 1) * (bones[name].ends.mean(axis=0) - centre))
    for name in FOREARM:
        bones[name] = _move(bones[name], np.array(FOREARM_SHIFT_MM[name]))
    bones["Scaphoid"] = _extend(bones["Scaphoid"], SCAPHOID_EXTENSION)
    shifts = {ray[0]: (CARPUS_SPREAD - 1) * (bones[ray[0]].ends[0] - centre) for ray in RAYS}
    spread = Anatomy(tuple(bones[name] for name in BONES), anatomy.hinges)
    return resize(spread, np.array([SIZE[name] for name in BONES]), shifts)


def resize(anatomy: Anatomy, scales: Floats, shifts: dict[str, Floats] | None = None) -> Anatomy:
    """Return the anatomy with each bone scaled by its factor in `scales` [29].

    Carpal and forearm bones are scaled about their centres. In a finger a bone that grows moves those after it, so that
    joints keep their width. `shifts` moves whole fingers, by the name of their metacarpal.
    """
    bones = {bone.name: _scale(bone, factor) for bone, factor in zip(anatomy.bones, scales, strict=True)}
    hinges = dict(anatomy.hinges)
    for ray in RAYS:
        moved = (shifts or {}).get(ray[0], np.zeros(3))
        for name in ray:
            bone, factor = anatomy[name], scales[BONES.index(name)]
            for hinge in OWN_HINGES.get(name, ()):
                hinges[hinge] = replace(hinges[hinge], anchor=hinges[hinge].anchor + moved)
            half = (factor - 1) * (bone.ends[1] - bone.ends[0]) / 2
            bones[name] = _move(bones[name], moved + half)
            moved = moved + 2 * half
    return Anatomy(tuple(bones[name] for name in BONES), hinges)


def _scale(bone: Bone, factor: float) -> Bone:
    """Scale a bone about its centre; radius and ulna only in width, because the image's edge cuts their length."""
    centre = bone.ends.mean(axis=0)
    factors = np.array([factor, 1.0 if bone.name in FOREARM else factor, factor])
    return _map(bone, lambda points: centre + factors * (points - centre))


def _move(bone: Bone, by: Floats) -> Bone:
    return _map(bone, lambda points: points + by)


def _extend(bone: Bone, angle: float) -> Bone:
    """Turn a bone about the image's x axis through its centre, so that its distal end rises out of the palm."""
    transform = turn(np.array([1.0, 0.0, 0.0]), bone.ends.mean(axis=0), angle)
    return _map(bone, lambda points: points @ transform[:3, :3].T + transform[:3, 3])


def _map(bone: Bone, change: Callable[[Floats], Floats]) -> Bone:
    surface = Surface(change(bone.surface.vertices), bone.surface.faces)
    return replace(bone, surface=surface, inner=change(bone.inner), ends=change(bone.ends))
