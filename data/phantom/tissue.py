"""The skin as a closed surface: a smooth union of tapered rods along the bones, in the image's coordinates."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data.phantom.pose import PosedBone
from data.phantom.proportions import RAYS
from data.phantom.remesh import surface_nets
from data.phantom.rods import add_rod, rod, smooth_min
from data.phantom.surface import Surface
from utils.arrays import Floats, Floats32, Ints
from utils.system.jit import kernel

GRID_MM = 2.5
FAR = 1000.0
BLEND_MM = 7.0
"""The corner between two rods is rounded up to this distance."""

FINGER_RADII_MM = (10.5, 9.6, 9.4, 8.6, 8.1, 6.4)
"""Half widths of the middle finger at knuckle, proximal phalanx, joint, middle phalanx, joint, tip."""

FINGER_SIZE = {"finger-1": 1.18, "finger-4": 1.0, "finger-8": 1.0, "finger-12": 0.94, "finger-16": 0.85}
"""Width of each finger relative to the middle finger, by the bone of its tip."""


def skin(bones: tuple[PosedBone, ...], *, thickness: float, scale: float) -> Surface:
    """Return the skin around a posed hand; `thickness` multiplies all distances from bone to skin."""
    by_name = {bone.name: bone for bone in bones}
    factor = thickness * scale
    # Rods of the palm and of each finger, and the number of the part that each rod belongs to.
    parts = [_palm(by_name, factor), *(_finger(by_name, ray, factor) for ray in RAYS)]
    rods = np.concatenate(parts)
    group = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    # A grid around all rods, with a margin that holds the blended surface.
    reach = rods[:, [3, 7]].max() + 4 * GRID_MM
    points = rods[:, [0, 1, 2, 4, 5, 6]].reshape(-1, 3)
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    blend = BLEND_MM * scale / GRID_MM
    depth, height, width = (int(steps) for steps in np.ceil((high - low) / GRID_MM)[::-1])
    field = _distance(rods / GRID_MM, group, low / GRID_MM, depth, height, width, blend)
    vertices, faces = surface_nets(field)
    return Surface(vertices * GRID_MM + low, faces)


def _finger(bones: dict[str, PosedBone], ray: tuple[str, ...], factor: float) -> Floats:
    """Return rods from the knuckle to the tip."""
    size = FINGER_SIZE[ray[-1]] * factor
    joints = [(bones[a].ends[1] + bones[b].ends[0]) / 2 for a, b in pairwise(ray)]
    tip = bones[ray[-1]].ends
    outward = (tip[1] - tip[0]) / np.linalg.norm(tip[1] - tip[0])
    last = tip[1] - outward * 3.2 * factor
    knots: list[Floats] = []
    radii = list(FINGER_RADII_MM) if len(joints) == 3 else list(FINGER_RADII_MM[2:])
    for joint, following in zip(joints, [*joints[1:], None], strict=True):
        knots.append(joint)
        if following is not None:
            knots.append((joint + following) / 2)
    knots.append(last)
    radii = [radius * size for radius in radii]
    return np.array([rod(a, ra, b, rb) for a, ra, b, rb in zip(knots, radii, knots[1:], radii[1:], strict=False)])


def _palm(bones: dict[str, PosedBone], factor: float) -> Floats:
    """Return rods along the metacarpals and the webs between the fingers, and of thenar, wrist and forearm."""
    rods = []
    for ray in RAYS:
        base, head = bones[ray[0]].ends
        rods.append(rod(base, 13 * factor, head, 11 * factor))
    webs = [_along(bones[ray[1]].ends, 0.38) for ray in RAYS[1:]]
    rods += [rod(a, 6.5 * factor, b, 6.5 * factor) for a, b in pairwise(webs)]
    heads = [bones[ray[0]].ends[1] for ray in RAYS]
    rods += [rod(a, 10 * factor, b, 10 * factor) for a, b in pairwise(heads[1:])]
    return np.concatenate([rods, _thenar(bones, factor), _wrist(bones, factor)])


def _thenar(bones: dict[str, PosedBone], factor: float) -> Floats:
    """Return rods of the muscles and web between the metacarpals of thumb and index, thinner outwards."""
    thumb, index = bones["finger-3"].ends, bones["finger-7"].ends
    return np.array(
        [
            rod(_along(thumb, t), radius * factor, _along(index, 0.8 * t), radius * factor)
            for t, radius in ((0.25, 9.5), (0.5, 8.0), (0.72, 5.5))
        ]
    )


def _wrist(bones: dict[str, PosedBone], factor: float) -> Floats:
    """Return rods of the forearm, and of its transition to the palm on both sides."""
    scaphoid, triquetrum = (bones[name].ends.mean(axis=0) for name in ("Scaphoid", "Triquetrum"))
    rods = [
        rod(scaphoid, 13 * factor, triquetrum, 13 * factor),
        rod(scaphoid, 14 * factor, _along(bones["finger-3"].ends, 0.2), 13 * factor),
    ]
    for name, carpal, radius in (("Radius", scaphoid, 20.5), ("Ulna", triquetrum, 17.0)):
        elbow, wrist = bones[name].ends[0], _along(bones[name].ends, 0.88)
        rods.append(rod(elbow, (radius + 5) * factor, wrist, radius * factor))
        rods.append(rod(wrist, radius * factor, carpal, 16.0 * factor))
    return np.array(rods)


def _along(ends: Floats, part: float) -> Floats:
    point: Floats = ends[0] + part * (ends[1] - ends[0])
    return point


@kernel
def _distance(rods: Floats, group: Ints, low: Floats, depth: int, height: int, width: int, blend: float) -> Floats32:
    """Return the distance to the skin, negative inside, on a grid [depth, height, width]; all lengths in grid steps.

    Group 0 is the palm, each other group a finger. The palm's rods blend into each other and each finger into the palm;
    fingers stay separate. The distance is exact only near the skin, which is enough for its shape.
    """
    groups = group.max() + 1
    nearest = np.full((groups, depth, height, width), np.float32(FAR))
    for i in range(len(rods)):
        add_rod(nearest[group[i]], rods[i], low, blend if group[i] == 0 else 1.0, blend + 1)
    field: Floats32 = nearest[0].copy()
    for g in range(1, groups):
        for z in range(depth):
            for y in range(height):
                for x in range(width):
                    if nearest[g, z, y, x] < FAR:
                        blended = smooth_min(nearest[0, z, y, x], nearest[g, z, y, x], blend)
                        field[z, y, x] = min(field[z, y, x], blended)
    return field
