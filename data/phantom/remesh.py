"""Builds closed surfaces from fields on a grid, and anew from torn surfaces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from data.phantom.rods import add_rod
from data.phantom.surface import Array, Surface
from utils.jit import kernel

Rods = Sequence[Sequence[float]]


def remesh(surface: Surface, *, spacing_mm: float, blur_mm: float, added: Rods = (), cut: Rods = ()) -> Surface:
    """Build a closed surface anew around its inside, without inner walls, plus and minus some rods.

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


def surface_of_rods(rods: Sequence[Array], *, grid_mm: float) -> Surface:
    """The surface around the union of some rods, sampled every `grid_mm`."""
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


def surface_nets(field_ZYX: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices [V, 3] as (x, y, z) in grid steps and faces [F, 3] where a field changes its sign; inside is negative.

    Naive surface nets (Gibson 1998): one vertex in each cell that the surface crosses, at the mean of the crossings
    of the cell's edges. The border of the field must be outside.
    """
    return _surface_nets(np.ascontiguousarray(field_ZYX, dtype=np.float32))


def _blur(volume_ZYX: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A volume blurred by a Gaussian of `sigma` grid steps."""
    in_plane = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in volume_ZYX])
    columns = in_plane.reshape(len(in_plane), -1)
    across: NDArray[np.float32] = cv2.GaussianBlur(columns, (1, 0), sigmaX=0.01, sigmaY=sigma)
    return across.reshape(volume_ZYX.shape)


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
