"""The skin: soft tissue as a smooth union of tapered rods along the bones, as a closed surface in the film's frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data.phantom.pose import RAYS, PosedBone
from data.phantom.surface import Surface, surface_nets
from utils.jit import kernel

Array = NDArray[np.float64]

GRID_MM = 2.0

FINGER_RADII_MM = (10.5, 9.6, 9.4, 8.6, 8.2, 7.0)
"""Half widths of the middle finger at knuckle, proximal phalanx, joint, middle phalanx, joint, tip."""

FINGER_SIZE = {"finger-1": 1.18, "finger-4": 1.0, "finger-8": 1.0, "finger-12": 0.94, "finger-16": 0.85}
"""Width of each finger by its tip's bone, the middle finger 1."""


def skin(bones: tuple[PosedBone, ...], *, thickness: float, scale: float) -> Surface:
    """The skin around a posed hand; `thickness` multiplies all distances from bone to skin."""
    by_name = {bone.name: bone for bone in bones}
    factor = thickness * scale
    parts = [_palm(by_name, factor), *(_finger(by_name, ray, factor) for ray in RAYS)]
    rods = np.concatenate(parts)
    group = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    reach = rods[:, [3, 7]].max() + 4 * GRID_MM
    points = rods[:, [0, 1, 2, 4, 5, 6]].reshape(-1, 3)
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    shape_ZYX = np.ceil((high - low) / GRID_MM).astype(int)[::-1]
    field = _distance(rods, group, low, shape_ZYX[0], shape_ZYX[1], shape_ZYX[2], GRID_MM, 7.0 * scale)
    vertices, faces = surface_nets(field)
    return Surface(vertices * GRID_MM + low, faces)


def _rod(a: Array, radius_a: float, b: Array, radius_b: float) -> Array:
    return np.array([*a, radius_a, *b, radius_b])


def _finger(bones: dict[str, PosedBone], ray: tuple[str, ...], factor: float) -> Array:
    """Rods from the knuckle to the tip."""
    size = FINGER_SIZE[ray[-1]] * factor
    joints = [(bones[a].ends[1] + bones[b].ends[0]) / 2 for a, b in pairwise(ray)]
    tip = bones[ray[-1]].ends
    outward = (tip[1] - tip[0]) / np.linalg.norm(tip[1] - tip[0])
    last = tip[1] - outward * 3.0 * factor
    knots: list[Array] = []
    radii = list(FINGER_RADII_MM) if len(joints) == 3 else list(FINGER_RADII_MM[2:])
    for joint, following in zip(joints, [*joints[1:], None], strict=True):
        knots.append(joint)
        if following is not None:
            knots.append((joint + following) / 2)
    knots.append(last)
    radii = [radius * size for radius in radii]
    return np.array([_rod(a, ra, b, rb) for a, ra, b, rb in zip(knots, radii, knots[1:], radii[1:], strict=False)])


def _palm(bones: dict[str, PosedBone], factor: float) -> Array:
    """Rods along the metacarpals, the webs between the fingers, the wrist and the forearm."""
    rods = []
    for ray in RAYS:
        base, head = bones[ray[0]].ends
        rods.append(_rod(base, 13 * factor, head, 11 * factor))
    webs = [_along(bones[ray[1]].ends, 0.38) for ray in RAYS[1:]]
    rods += [_rod(a, 6.5 * factor, b, 6.5 * factor) for a, b in pairwise(webs)]
    heads = [bones[ray[0]].ends[1] for ray in RAYS]
    rods += [_rod(a, 10 * factor, b, 10 * factor) for a, b in pairwise(heads[1:])]
    thumb, index = bones["finger-3"].ends, bones["finger-7"].ends
    for t in (0.25, 0.5, 0.75):
        rods.append(_rod(_along(thumb, t), 9 * factor, _along(index, 0.8 * t), 9 * factor))
    wrist = [bones[name].ends.mean(axis=0) for name in ("Scaphoid", "Triquetrum")]
    rods.append(_rod(wrist[0], 16 * factor, wrist[1], 15 * factor))
    for name, radius in (("Radius", 17), ("Ulna", 16)):
        low, high = bones[name].ends
        rods.append(_rod(low, (radius + 5) * factor, high, (radius - 1) * factor))
    return np.array(rods)


def _along(ends: Array, part: float) -> Array:
    point: Array = ends[0] + part * (ends[1] - ends[0])
    return point


@kernel
def _distance(
    rods: Array, group: NDArray[np.int64], low: Array, depth: int, height: int, width: int, grid: float, blend: float
) -> NDArray[np.float32]:
    """Signed distance to the skin on a grid [depth, height, width]. Group 0 is the palm, each other one a finger.

    Rods of a group and each finger with the palm blend into each other; fingers stay apart.
    """
    field = np.empty((depth, height, width), dtype=np.float32)
    groups = group.max() + 1
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                px, py, pz = low[0] + x * grid, low[1] + y * grid, low[2] + z * grid
                nearest = np.full(groups, 1e6)
                for i in range(len(rods)):
                    ax, ay, az, ra, bx, by, bz, rb = rods[i]
                    ux, uy, uz = bx - ax, by - ay, bz - az
                    t = ((px - ax) * ux + (py - ay) * uy + (pz - az) * uz) / (ux * ux + uy * uy + uz * uz)
                    t = min(1.0, max(0.0, t))
                    dx, dy, dz = px - ax - t * ux, py - ay - t * uy, pz - az - t * uz
                    d = np.sqrt(dx * dx + dy * dy + dz * dz) - ra - t * (rb - ra)
                    nearest[group[i]] = _smooth_min(nearest[group[i]], d, blend if group[i] == 0 else 2.0)
                best = nearest[0]
                for g in range(1, groups):
                    best = min(best, _smooth_min(nearest[0], nearest[g], blend))
                field[z, y, x] = best
    return field


@kernel
def _smooth_min(a: float, b: float, blend: float) -> float:
    """The lesser of two distances, rounded where they differ by less than `blend` (quadratic polynomial)."""
    overlap = max(blend - abs(a - b), 0.0) / blend
    return min(a, b) - overlap * overlap * blend * 0.25
