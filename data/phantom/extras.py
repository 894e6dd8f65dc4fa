"""Objects on an image besides the 29 bones and the skin: sesamoids, rings, the edge of the other hand. Not labelled."""

from __future__ import annotations

import numpy as np

from data.phantom.pose import PIXELS_PER_MM, PosedBone
from data.phantom.radiograph import TISSUE_PER_MM, Extra
from data.phantom.remesh import surface_of_rods
from data.phantom.rods import rod
from data.phantom.surface import Surface
from data.phantom.variation import FingerRing, HandVariation, OtherHand, Sesamoid
from utils.arrays import Floats

SESAMOID_PER_MM = 0.05
METAL_PER_MM = 0.9
"""Attenuation per mm in addition to that of the surrounding tissue: of dense bone, and of gold or steel."""


def extras_of(bones: tuple[PosedBone, ...], skin: Surface, hand: HandVariation, other: OtherHand | None) -> list[Extra]:
    """Return all extra objects of one image, in the image's coordinates."""
    ends = {bone.name: bone.ends for bone in bones}
    extras = [Extra(_sesamoid(ends[s.metacarpal], s, hand), SESAMOID_PER_MM) for s in hand.sesamoids]
    extras += [Extra(_ring(ends[ring.phalanx], ring, hand), METAL_PER_MM) for ring in hand.rings]
    if other is not None:
        extras.append(Extra(_other_hand(skin, other), TISSUE_PER_MM * other.density))
    return extras


def _sesamoid(metacarpal: Floats, sesamoid: Sesamoid, hand: HandVariation) -> Surface:
    """Return a small bone beside a metacarpal's head, on the side of the palm."""
    along = (metacarpal[1] - metacarpal[0]) / np.linalg.norm(metacarpal[1] - metacarpal[0])
    across = np.array([-along[1], along[0], 0.0]) * (-1 if hand.left else 1)
    centre = metacarpal[1] - hand.body.scale * (4.0 * along - sesamoid.across_mm * across) + (0, 0, 8.0)
    half = along * sesamoid.radius_mm * 0.4
    return surface_of_rods([rod(centre - half, sesamoid.radius_mm, centre + half, sesamoid.radius_mm)], grid_mm=0.4)


def _ring(phalanx: Floats, ring: FingerRing, hand: HandVariation) -> Surface:
    """Return a band of metal around a finger, made of five hoops side by side."""
    # A circle around the phalanx as a polygon of 40 sides, on the skin.
    axis = (phalanx[1] - phalanx[0]) / np.linalg.norm(phalanx[1] - phalanx[0])
    side = np.cross(axis, (0.0, 0.0, 1.0))
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    turns = np.linspace(0, 2 * np.pi, 41)
    hoop = hand.body.scale * hand.body.tissue * 9.3 * (np.outer(np.cos(turns), side) + np.outer(np.sin(turns), up))
    centre = phalanx[0] + 0.45 * (phalanx[1] - phalanx[0])
    rods = [
        rod(a, ring.thickness_mm / 2, b, ring.thickness_mm / 2)
        for offset in (-0.5, -0.25, 0.0, 0.25, 0.5)
        for a, b in zip(
            hoop[:-1] + centre + offset * ring.width_mm * axis,
            hoop[1:] + centre + offset * ring.width_mm * axis,
            strict=True,
        )
    ]
    return surface_of_rods(rods, grid_mm=0.6)


def _other_hand(skin: Surface, other: OtherHand) -> Surface:
    """Return the mirrored hand, moved so that its edge enters the image from the left or right."""
    side_mm = 1 / PIXELS_PER_MM
    x = skin.vertices[:, 0]
    if other.from_right:
        mirrored = 2 * side_mm - x - (side_mm - x.max()) - other.reach_mm
    else:
        mirrored = -x + x.min() + other.reach_mm
    vertices = np.column_stack([mirrored, skin.vertices[:, 1] + other.shift_mm, skin.vertices[:, 2]])
    return Surface(vertices, skin.faces[:, ::-1])
