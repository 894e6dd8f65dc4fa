"""Project a posed hand: the mask of each bone, and the attenuation of bone, tissue and metal along the beam."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.phantom.anatomy import FOREARM, SHAFT_CORTEX_MM
from data.phantom.pose import PIXELS_PER_MM, PosedBone
from data.phantom.projection import add_thickness, extent_xyxy
from data.phantom.surface import Surface
from data.phantom.texture import mottle, trabeculae
from data.phantom.variation import HandVariation
from utils.arrays import Bytes, Floats, Floats32, Ints32

TISSUE_PER_MM = 0.021
CORTEX_PER_MM = 0.085
SPONGY_PER_MM = 0.042
MARROW_PER_MM = 0.022
"""Linear attenuation at about 50 kVp, from the NIST tables: muscle, cortical bone, spongy bone, marrow of a shaft."""

MASK_MM = 0.4
"""A pixel belongs to a bone if the beam passes through more than this much of it."""


@dataclass(frozen=True)
class Shadow:
    """A bone's mask inside a box of the image; `corner` is the box's upper left pixel (x, y)."""

    corner: tuple[int, int]
    mask_hw: Bytes


@dataclass(frozen=True)
class Extra:
    """An object besides bones and skin. `per_mm` is its attenuation minus that of what it displaces."""

    surface: Surface
    per_mm: float


def cast_shadows(bones: tuple[PosedBone, ...], size_px: int) -> list[Shadow]:
    """Return the mask of each bone at native size, in class order."""
    shadows = []
    for bone in bones:
        corner, thickness = project(bone.surface.vertices, bone.surface.faces, size_px)
        shadows.append(Shadow(corner, (thickness > MASK_MM).astype(np.uint8)))
    return shadows


def expose(
    bones: tuple[PosedBone, ...],
    skin: Surface,
    extras: list[Extra],
    hand: HandVariation,
    size_px: int,
    *,
    zoom: float = 1.0,
) -> Floats32:
    """Return the attenuation (line integral, 0 in air) of the whole hand, float32[size_px, size_px].

    `zoom` says how many times larger than usual everything lies on the image; depths do not change.
    """
    attenuation = np.zeros((size_px, size_px), dtype=np.float32)
    corner, tissue = project(skin.vertices, skin.faces, size_px)
    _add(attenuation, corner, tissue * _at(mottle(size_px, hand.texture_seed, zoom), corner, tissue) * TISSUE_PER_MM)
    grain = trabeculae(size_px, hand.texture_seed, zoom)
    for bone in bones:
        _add_bone(attenuation, bone, hand, grain)
    for extra in extras:
        corner, thickness = project(extra.surface.vertices, extra.surface.faces, size_px)
        _add(attenuation, corner, thickness * extra.per_mm)
    return attenuation


def _add_bone(attenuation: Floats32, bone: PosedBone, hand: HandVariation, grain: Floats32) -> None:
    """Add a bone's attenuation minus that of the tissue it displaces: all of it as cortex, less its lighter inside."""
    dense = hand.body.density
    corner, whole = project(bone.surface.vertices, bone.surface.faces, len(attenuation))
    _add(attenuation, corner, whole * (dense * CORTEX_PER_MM - TISSUE_PER_MM))
    inner = bone.surface.vertices + hand.body.cortex * (bone.inner - bone.surface.vertices)
    corner, inside = project(inner, bone.surface.faces, len(attenuation))
    spongy = hand.body.spongy * _at(grain, corner, inside) * _spongy_part(bone, corner, inside.shape, len(attenuation))
    _add(
        attenuation, corner, inside * dense * (MARROW_PER_MM - CORTEX_PER_MM + (SPONGY_PER_MM - MARROW_PER_MM) * spongy)
    )


def _spongy_part(bone: PosedBone, corner: tuple[int, int], shape: tuple[int, ...], size_px: int) -> Floats32:
    """Return the share of spongy bone in the inside at each pixel: 1 in carpal bones, less in shafts of long ones."""
    if bone.name not in SHAFT_CORTEX_MM:
        return np.ones(shape, dtype=np.float32)
    near, far = bone.ends[:, :2] * PIXELS_PER_MM * size_px - 0.5 - np.array(corner)
    axis = (far - near) / ((far - near) @ (far - near))
    along = np.add.outer((np.arange(shape[0]) - near[1]) * axis[1], (np.arange(shape[1]) - near[0]) * axis[0])
    from_end = 1 - along if bone.name in FOREARM else np.minimum(along, 1 - along)
    part: Floats32 = np.clip(1.25 - from_end / 0.28, 0, 1).astype(np.float32)
    return part


def project(vertices: Floats, faces: Ints32, size_px: int) -> tuple[tuple[int, int], Floats32]:
    """Return the box's corner (x, y) and the thickness (mm, 0 or more) of a surface in the box that it covers."""
    per_mm = PIXELS_PER_MM * size_px
    points = vertices * (per_mm, per_mm, 1.0) - (0.5, 0.5, 0.0)
    left, top, right, bottom = (math.floor(edge) for edge in extent_xyxy(points))
    x0, y0 = min(max(left - 1, 0), size_px - 1), min(max(top - 1, 0), size_px - 1)
    x1, y1 = min(max(right + 3, x0 + 1), size_px), min(max(bottom + 3, y0 + 1), size_px)
    box = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
    add_thickness(box, points - (x0, y0, 0.0), faces, 1.0)
    return (x0, y0), np.maximum(box, 0)


def _add(attenuation: Floats32, corner: tuple[int, int], box: Floats32) -> None:
    attenuation[corner[1] : corner[1] + box.shape[0], corner[0] : corner[0] + box.shape[1]] += box


def _at(texture: Floats32, corner: tuple[int, int], box: Floats32) -> Floats32:
    return texture[corner[1] : corner[1] + box.shape[0], corner[0] : corner[0] + box.shape[1]]
