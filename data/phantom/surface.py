"""Closed triangle surfaces: mend them, build them from a field, offset them. Knows nothing of hands.

Units are whatever the vertices are in (here millimetres). Faces turn counter-clockwise seen from outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.jit import kernel


@dataclass(frozen=True)
class Surface:
    """Vertices [V, 3] and faces [F, 3] (indices of vertices)."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]


def close(surface: Surface) -> Surface:
    """Close every hole with a cone of triangles from the hole's edge to its centre.

    The edges that lack a partner always form closed loops, so that a cone over each loop leaves none behind, however
    ragged the hole is. A closed surface is returned as it is.
    """
    edges = _lone_edges(surface.faces)
    if len(edges) == 0:
        return surface
    loops = _connected(edges, len(surface.vertices))
    centres = [surface.vertices[np.unique(edges[loops == loop])].mean(axis=0) for loop in range(loops.max() + 1)]
    tips = len(surface.vertices) + loops
    cones = np.column_stack([edges[:, 1], edges[:, 0], tips]).astype(np.int32)
    return Surface(np.concatenate([surface.vertices, centres]), np.concatenate([surface.faces, cones]))


def crop_below(surface: Surface, y: float) -> Surface:
    """Drop the faces that reach below `y`; the surface is open there."""
    faces = surface.faces[(surface.vertices[surface.faces, 1] <= y).all(axis=1)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return Surface(surface.vertices[used], renumbered.reshape(faces.shape).astype(np.int32))


def remesh(surface: Surface, *, spacing_mm: float, blur_mm: float) -> Surface:
    """Build a closed surface anew around its inside, without inner walls, with edges rounded by `blur_mm`."""
    from scipy.ndimage import gaussian_filter

    low = surface.vertices.min(axis=0) - 3 * blur_mm - 2 * spacing_mm
    high = surface.vertices.max(axis=0) + 3 * blur_mm + 2 * spacing_mm
    inside = np.zeros(np.ceil((high - low) / spacing_mm).astype(int)[::-1], dtype=np.float32)
    _add_winding(inside, (surface.vertices - low) / spacing_mm, surface.faces)
    field = 0.5 - gaussian_filter(np.clip(inside, 0, 1), blur_mm / spacing_mm)
    vertices, faces = surface_nets(field)
    return Surface(vertices * spacing_mm + low, faces)


def normals(surface: Surface) -> NDArray[np.float64]:
    """Outward unit normals [V, 3] of the vertices, weighted by the areas of the faces around them."""
    corners = surface.vertices[surface.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [np.bincount(surface.faces.ravel(), np.repeat(across[:, i], 3), len(surface.vertices)) for i in range(3)],
        axis=1,
    )
    unit: NDArray[np.float64] = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return unit


def surface_nets(field_ZYX: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices [V, 3] as (x, y, z) in grid steps and faces [F, 3] where a field changes its sign; inside is negative.

    Naive surface nets (Gibson 1998): one vertex in each cell that the surface crosses, at the mean of the crossings
    of the cell's edges. The border of the field must be outside.
    """
    return _surface_nets(np.ascontiguousarray(field_ZYX, dtype=np.float32))


def _lone_edges(faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Directed edges [E, 2] that no face runs through the other way; repeated when they lack several partners."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    low, high = directed.min(axis=1), directed.max(axis=1)
    undirected, place = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    balance = np.bincount(place.reshape(-1), weights=np.where(directed[:, 0] == low, 1, -1)).astype(np.int64)
    forward = np.repeat(undirected, np.maximum(balance, 0), axis=0)
    backward = np.repeat(undirected[:, ::-1], np.maximum(-balance, 0), axis=0)
    return np.concatenate([forward, backward])


def _connected(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The number of the connected loop that each edge belongs to."""
    label = np.arange(count)
    while True:
        lowest = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        spread = label.copy()
        np.minimum.at(spread, edges[:, 0], lowest)
        np.minimum.at(spread, edges[:, 1], lowest)
        if np.array_equal(spread, label):
            return np.unique(label[edges[:, 0]], return_inverse=True)[1].reshape(-1)
        label = spread


@kernel
def _add_winding(volume_ZYX: NDArray[np.float32], vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> None:
    """Add to each grid point how often a closed surface winds around it (1 inside); vertices in grid steps."""
    depth, height, width = volume_ZYX.shape
    for face in faces:
        a, b, c = vertices[face[0]], vertices[face[1]], vertices[face[2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0.0:
            continue
        sign = 1.0 if area > 0 else -1.0
        for y in range(max(0, int(np.ceil(min(a[1], b[1], c[1])))), min(height - 1, int(max(a[1], b[1], c[1]))) + 1):
            for x in range(max(0, int(np.ceil(min(a[0], b[0], c[0])))), min(width - 1, int(max(a[0], b[0], c[0]))) + 1):
                # Barycentric coordinates; grid points never lie exactly on an edge, for they are shifted a little.
                px, py = x + 1.3e-5, y + 0.7e-5
                v = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area
                w = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area
                if v < 0 or w < 0 or v + w > 1:
                    continue
                surface_z = a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2])
                for z in range(min(depth, max(0, int(np.ceil(surface_z))))):
                    volume_ZYX[z, y, x] += sign


@kernel
def _surface_nets(
    field_ZYX: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    depth, height, width = field_ZYX.shape
    number = np.full((depth, height, width), -1, dtype=np.int32)
    vertices = np.empty((field_ZYX.size // 4 + 64, 3), dtype=np.float64)
    count = 0
    for z in range(depth - 1):
        for y in range(height - 1):
            for x in range(width - 1):
                negative = 0
                for corner in range(8):
                    if field_ZYX[z + (corner >> 2), y + (corner >> 1 & 1), x + (corner & 1)] < 0:
                        negative += 1
                if negative == 0 or negative == 8:
                    continue
                crossings, sx, sy, sz = 0, 0.0, 0.0, 0.0
                for corner in range(8):
                    for axis in range(3):
                        other = corner | 1 << axis
                        if other == corner:
                            continue
                        x0, y0, z0 = corner & 1, corner >> 1 & 1, corner >> 2
                        x1, y1, z1 = other & 1, other >> 1 & 1, other >> 2
                        f0, f1 = field_ZYX[z + z0, y + y0, x + x0], field_ZYX[z + z1, y + y1, x + x1]
                        if (f0 < 0) == (f1 < 0):
                            continue
                        t = f0 / (f0 - f1)
                        sx += x0 + t * (x1 - x0)
                        sy += y0 + t * (y1 - y0)
                        sz += z0 + t * (z1 - z0)
                        crossings += 1
                vertices[count, 0] = x + sx / crossings
                vertices[count, 1] = y + sy / crossings
                vertices[count, 2] = z + sz / crossings
                number[z, y, x] = count
                count += 1
    faces = np.empty((count * 6 + 64, 3), dtype=np.int32)
    quads = 0
    for z in range(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                inside = field_ZYX[z, y, x] < 0
                for axis in range(3):
                    ox, oy, oz = int(axis == 0), int(axis == 1), int(axis == 2)
                    if (field_ZYX[z + oz, y + oy, x + ox] < 0) == inside:
                        continue
                    # The four cells around the crossed edge, in turning order about the axis.
                    ux, uy, uz = int(axis == 2), int(axis == 0), int(axis == 1)
                    vx, vy, vz = int(axis == 1), int(axis == 2), int(axis == 0)
                    a = number[z - uz - vz, y - uy - vy, x - ux - vx]
                    b = number[z - vz, y - vy, x - vx]
                    c = number[z, y, x]
                    d = number[z - uz, y - uy, x - ux]
                    if not inside:
                        b, d = d, b
                    faces[quads] = (a, b, c)
                    faces[quads + 1] = (a, c, d)
                    quads += 2
    return vertices[:count].copy(), faces[:quads].copy()
