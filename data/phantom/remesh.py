"""Build closed surfaces from fields on a grid, and rebuild torn surfaces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from data.phantom.rods import add_rod
from data.phantom.surface import Surface
from utils.arrays import Floats, Floats32, Ints32
from utils.system.jit import kernel

Rods = Sequence[Sequence[float]]


def remesh(surface: Surface, *, spacing_mm: float, blur_mm: float, added: Rods = (), cut: Rods = ()) -> Surface:
    """Rebuild a closed surface around its inside, without inner walls; add the rods `added` and remove the rods `cut`.

    Edges are rounded by a Gaussian of `blur_mm`.
    """
    low = surface.vertices.min(axis=0) - 3 * blur_mm - 2 * spacing_mm
    high = surface.vertices.max(axis=0) + 3 * blur_mm + 2 * spacing_mm
    inside = np.zeros(np.ceil((high - low) / spacing_mm).astype(int)[::-1], dtype=np.float32)
    _add_winding(inside, (surface.vertices - low) / spacing_mm, surface.faces)
    for rods, filling in ((added, 1.0), (cut, 0.0)):
        for rod in rods:
            distance = np.full(inside.shape, 1e3, dtype=np.float32)
            add_rod(distance, np.array(rod) / spacing_mm, low / spacing_mm, 1.0, 2.0)
            inside[distance < 0] = filling
    vertices, faces = surface_nets(0.5 - _blur(np.clip(inside, 0, 1), blur_mm / spacing_mm))
    return Surface(vertices * spacing_mm + low, faces)


def surface_of_rods(rods: Sequence[Floats], *, grid_mm: float) -> Surface:
    """Return the surface around the union of rods, sampled every `grid_mm`."""
    table = np.array(rods)
    reach = table[:, [3, 7]].max() + 3 * grid_mm
    points = table[:, [0, 1, 2, 4, 5, 6]].reshape(-1, 3)
    low = points.min(axis=0) - reach
    shape_xyz = np.ceil((points.max(axis=0) + reach - low) / grid_mm).astype(int)
    distance = np.full(shape_xyz[::-1], 1e3, dtype=np.float32)
    for row in table:
        add_rod(distance, row / grid_mm, low / grid_mm, 1.0, 3.0)
    vertices, faces = surface_nets(distance)
    return Surface(vertices * grid_mm + low, faces)


def surface_nets(field_ZYX: Floats32) -> tuple[Floats, Ints32]:
    """Return vertices [V, 3] as (x, y, z) in grid steps and faces [F, 3] of the surface on which a field is 0.

    The field is negative inside, and its border must be outside. Naive surface nets (Gibson 1998): each cell that the
    surface crosses has one vertex, at the mean of the points at which the surface crosses the cell's edges.
    """
    vertices, number_ZYX = _net_vertices(field_ZYX)
    return vertices, _net_faces(field_ZYX, number_ZYX, len(vertices))


def _blur(volume_ZYX: Floats32, sigma: float) -> Floats32:
    """Return a volume blurred by a Gaussian of `sigma` grid steps."""
    in_plane = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in volume_ZYX])
    columns = in_plane.reshape(len(in_plane), -1)
    across: Floats32 = cv2.GaussianBlur(columns, (1, 0), sigmaX=0.01, sigmaY=sigma)
    return across.reshape(volume_ZYX.shape)


@kernel
def _add_winding(volume_ZYX: Floats32, vertices: Floats, faces: Ints32) -> None:
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
                # Barycentric coordinates. Grid points are shifted a little, so that none lies exactly on an edge.
                px, py = x + 1.3e-5, y + 0.7e-5
                v = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area
                w = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area
                if v < 0 or w < 0 or v + w > 1:
                    continue
                surface_z = a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2])
                for z in range(min(depth, max(0, int(np.ceil(surface_z))))):
                    volume_ZYX[z, y, x] += sign


@kernel
def _is_crossed(field_ZYX: Floats32, z: int, y: int, x: int) -> bool:
    """Return whether a cell has corners on both sides of the surface."""
    inside = field_ZYX[z, y, x] < 0
    for corner in range(1, 8):
        if (field_ZYX[z + (corner >> 2), y + (corner >> 1 & 1), x + (corner & 1)] < 0) != inside:
            return True
    return False


@kernel
def _write_mean_crossing(cell_ZYX: Floats32, mean_xyz: Floats) -> None:
    """Write to `mean_xyz` the mean of the points at which the field is 0 on a cell's 12 edges."""
    crossings = 0
    mean_xyz[:] = 0.0
    for corner in range(8):
        x, y, z = corner & 1, corner >> 1 & 1, corner >> 2
        here = cell_ZYX[z, y, x]
        for axis in range(3):
            if corner >> axis & 1:
                continue
            there = cell_ZYX[z + (axis == 2), y + (axis == 1), x + (axis == 0)]
            if (here < 0) == (there < 0):
                continue
            mean_xyz[0] += x
            mean_xyz[1] += y
            mean_xyz[2] += z
            mean_xyz[axis] += here / (here - there)
            crossings += 1
    mean_xyz /= crossings


@kernel
def _net_vertices(
    field_ZYX: Floats32,
) -> tuple[Floats, Ints32]:
    """The vertex of each crossed cell, and at each cell the number of its vertex (-1: none)."""
    depth, height, width = field_ZYX.shape
    number_ZYX = np.full((depth, height, width), -1, dtype=np.int32)
    vertices = np.empty((field_ZYX.size, 3), dtype=np.float64)
    count = 0
    for z in range(depth - 1):
        for y in range(height - 1):
            for x in range(width - 1):
                if not _is_crossed(field_ZYX, z, y, x):
                    continue
                _write_mean_crossing(field_ZYX[z : z + 2, y : y + 2, x : x + 2], vertices[count])
                vertices[count, 0] += x
                vertices[count, 1] += y
                vertices[count, 2] += z
                number_ZYX[z, y, x] = count
                count += 1
    return vertices[:count].copy(), number_ZYX


@kernel
def _net_faces(field_ZYX: Floats32, number_ZYX: Ints32, count: int) -> Ints32:
    """Return two triangles for each grid edge that the surface crosses, between the vertices of the cells around it."""
    depth, height, width = field_ZYX.shape
    faces: Ints32 = np.empty((6 * count, 3), dtype=np.int32)
    filled = 0
    for z in range(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                inside = field_ZYX[z, y, x] < 0
                for axis in range(3):
                    if (field_ZYX[z + (axis == 2), y + (axis == 1), x + (axis == 0)] < 0) == inside:
                        continue
                    # u and v are the other two axes, in turning order.
                    ux, uy, uz = int(axis == 2), int(axis == 0), int(axis == 1)
                    vx, vy, vz = int(axis == 1), int(axis == 2), int(axis == 0)
                    before = number_ZYX[z - vz, y - vy, x - vx]
                    after = number_ZYX[z - uz, y - uy, x - ux]
                    far, near = number_ZYX[z - uz - vz, y - uy - vy, x - ux - vx], number_ZYX[z, y, x]
                    if not inside:
                        before, after = after, before
                    faces[filled] = (far, before, near)
                    faces[filled + 1] = (far, near, after)
                    filled += 2
    used: Ints32 = faces[:filled].copy()
    return used
