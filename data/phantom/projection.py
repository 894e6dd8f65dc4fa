"""Parallel projection of closed surfaces: the exact thickness that each ray passes through, in one pass over the faces.

Shapes: H, W pixels of the image. Pixel (row, column) has its centre at x = column, y = row in pixel units.
"""

from __future__ import annotations

import numpy as np

from utils.arrays import Floats, Floats32, Ints32
from utils.system.jit import kernel


@kernel
def add_thickness(image_HW: Floats32, vertices: Floats, faces: Ints32, weight: float) -> None:
    """Add `weight` times the thickness of a closed surface along z to an image, in the unit of the vertices' z.

    Vertices are (x, y) in pixels and z in any unit. The thickness at a pixel's centre is the sum of sign x depth over
    the triangles that cover it: the sign is the triangle's orientation in the projection, the depth its z there. Parts
    outside the image are cut. A half-open rule for edges counts an edge that two triangles share once.
    """
    height, width = image_HW.shape
    for face in faces:
        ax, ay, az = vertices[face[0], 0], vertices[face[0], 1], vertices[face[0], 2]
        bx, by, bz = vertices[face[1], 0], vertices[face[1], 1], vertices[face[1], 2]
        cx, cy, cz = vertices[face[2], 0], vertices[face[2], 1], vertices[face[2], 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)  # twice the signed area; 0 for a triangle seen edge-on
        if area == 0.0:
            continue
        # The triangle's plane: z = az + slope_x (x - ax) + slope_y (y - ay).
        slope_x = ((bz - az) * (cy - ay) - (cz - az) * (by - ay)) / area
        slope_y = ((cz - az) * (bx - ax) - (bz - az) * (cx - ax)) / area
        sign = weight if area > 0 else -weight
        top = max(0, int(np.ceil(min(ay, by, cy))))
        bottom = min(height - 1, int(np.ceil(max(ay, by, cy))) - 1)
        for row in range(top, bottom + 1):
            left, right = np.inf, -np.inf
            for x0, y0, x1, y1 in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
                # Half-open in y, and always computed from the upper end, so that neighbours agree to the bit.
                if y0 > y1:
                    x0, y0, x1, y1 = x1, y1, x0, y0
                if y0 <= row < y1:
                    cross = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
                    left, right = min(left, cross), max(right, cross)
            first = max(0, int(np.ceil(left))) if left < np.inf else 0
            last = min(width - 1, int(np.ceil(right)) - 1) if left < np.inf else -1
            depth = az + slope_y * (row - ay) - slope_x * ax
            for column in range(first, last + 1):
                image_HW[row, column] += sign * (depth + slope_x * column)


@kernel
def extent_xyxy(vertices: Floats) -> tuple[float, float, float, float]:
    """Return least and greatest x and y of vertices as (left, top, right, bottom), many times faster than numpy."""
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(vertices)):
        left, right = min(left, vertices[i, 0]), max(right, vertices[i, 0])
        top, bottom = min(top, vertices[i, 1]), max(bottom, vertices[i, 1])
    return left, top, right, bottom
