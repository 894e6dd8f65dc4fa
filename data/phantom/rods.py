"""Tapered rods with round ends as distance fields on a grid, for soft tissue and missing pieces of bone."""

from __future__ import annotations

import numpy as np

from utils.arrays import Floats, Floats32
from utils.system.jit import kernel


def rod(a: Floats, radius_a: float, b: Floats, radius_b: float) -> Floats:
    """Return a rod as one row (ax, ay, az, radius, bx, by, bz, radius)."""
    return np.array([*a, radius_a, *b, radius_b])


@kernel
def smooth_min(a: float, b: float, blend: float) -> float:
    """Return the lesser of two distances, smoothed by a quadratic polynomial if they differ by less than `blend`."""
    overlap = max(blend - abs(a - b), 0.0) / blend
    return min(a, b) - overlap * overlap * blend * 0.25


@kernel
def add_rod(nearest_ZYX: Floats32, rod: Floats, low: Floats, blend: float, margin: float) -> None:
    """Blend the distance to a rod into a field of distances, up to `margin` away from the rod.

    Everything is in grid steps; `low` is the position of the field's first point. Distances are negative inside.
    """
    depth, height, width = nearest_ZYX.shape
    ax, ay, az, ra = rod[0] - low[0], rod[1] - low[1], rod[2] - low[2], rod[3]
    bx, by, bz, rb = rod[4] - low[0], rod[5] - low[1], rod[6] - low[2], rod[7]
    ux, uy, uz = bx - ax, by - ay, bz - az
    length2 = ux * ux + uy * uy + uz * uz
    reach = max(ra, rb) + margin
    for z in range(max(0, int(min(az, bz) - reach)), min(depth, int(max(az, bz) + reach) + 2)):
        for y in range(max(0, int(min(ay, by) - reach)), min(height, int(max(ay, by) + reach) + 2)):
            for x in range(max(0, int(min(ax, bx) - reach)), min(width, int(max(ax, bx) + reach) + 2)):
                # t: the nearest point on the rod's axis, 0 at a and 1 at b.
                t = ((x - ax) * ux + (y - ay) * uy + (z - az) * uz) / length2
                t = min(1.0, max(0.0, t))
                dx, dy, dz = x - ax - t * ux, y - ay - t * uy, z - az - t * uz
                distance = np.sqrt(dx * dx + dy * dy + dz * dz) - ra - t * (rb - ra)
                if distance < margin:
                    nearest_ZYX[z, y, x] = smooth_min(nearest_ZYX[z, y, x], distance, blend)
