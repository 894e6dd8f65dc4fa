"""The shape of each bone in a label, in a few numbers that do not depend on where it lies or how large the hand is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.hand_bone.classes import BONES
from utils.arrays import Bools, Bytes, Floats, Ints32, Ring, Size

# Shapes: C classes (29), S slices of a bone.

SLICES = 32
"""Slices across a bone's long axis, in each of which its width is measured."""

SIDE_PX = 1024
"""Larger images are measured at half their size, or a third, …: several times as quick, and outlines are no finer."""

EDGE_PX = 1
"""Outlines that come so near the image's edge end there."""

_ROWS = 4 * SLICES
_COLUMNS = 64
"""The upright canvas on which widths are counted: long axis down, so many rows and columns from end to end."""

_CAPITATE = BONES.index("Capitate")


@dataclass(frozen=True)
class HandShape:
    """The measures of every class of one hand; nan where a class is absent. Lengths are native pixels."""

    area: Floats
    """[C], of the union of the class's rings."""
    centre: Floats
    """[C, 2] as (x, y)."""
    elongation: Floats
    """[C], the long axis over the short one, at least 1."""
    hole: Floats
    """[C], the share of the filled outline that holes take, 0..1."""
    apart: Floats
    """[C], the share of the area that is not connected with its largest piece, 0..1."""
    solidity: Floats
    """[C], area over that of the convex hull, 0..1."""
    widths: Floats
    """[C, S], the logarithm of the width over the root of the area, from the end near the wrist to the far end.

    nan also for bones that the image's edge cuts: their ends are where the image happens to end."""
    cut: Bools
    """[C], whether the image's edge cuts the bone, as it does the forearm's."""


@dataclass(frozen=True)
class Blob:
    """The pixels of one class in its box: `corner` is the place (x, y) of the mask's first pixel."""

    mask: Bytes
    corner: Floats
    area: float
    centre: Floats
    """(x, y) in the box."""
    axis: Floats
    """The unit vector of the long axis."""
    elongation: float
    hull: Ints32
    """[N, 1, 2], the convex hull."""


def shape_of(polygons: Iterable[tuple[int, Ring]], size_hw: Size) -> HandShape:
    """Measure a label's (class index, ring) pairs. What lies outside the image counts as well."""
    step = -(-max(size_hw) // SIDE_PX)
    rings: dict[int, list[Ring]] = {}
    for index, ring in polygons:
        rings.setdefault(index, []).append(ring // step)
    blobs = {index: _blob(its) for index, its in rings.items()}
    wrist = _wrist(blobs)
    rows, widths = np.full((len(BONES), 7), np.nan), np.full((len(BONES), SLICES), np.nan)
    cut = np.zeros(len(BONES), np.bool_)
    for index, blob in blobs.items():
        rows[index] = (blob.area, *(blob.corner + blob.centre), blob.elongation, *_topology(blob))
        cut[index] = _is_cut(blob, (size_hw[0] // step, size_hw[1] // step))
        if not cut[index]:
            widths[index] = _widths(blob, blob.corner + blob.centre - wrist)
    rows[:, 0] *= step**2
    rows[:, 1:3] = (rows[:, 1:3] + 0.5) * step - 0.5
    return HandShape(rows[:, 0], rows[:, 1:3], rows[:, 3], rows[:, 4], rows[:, 5], rows[:, 6], widths, cut)


def _blob(rings: Sequence[Ring]) -> Blob:
    """Fill the union of rings on a canvas of their common box."""
    points = np.concatenate(rings)
    corner = points.min(axis=0)
    width, height = (points.max(axis=0) - corner + 1).tolist()
    mask = np.zeros((height, width), np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [ring], 1, offset=tuple((-corner).tolist()))
    moments = cv2.moments(mask, binaryImage=True)
    area = moments["m00"]
    covariance = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / area
    spread, axes = np.linalg.eigh(covariance + np.eye(2) / 12)
    centre = np.array([moments["m10"], moments["m01"]]) / area
    hull = cv2.convexHull(points[:, None] - corner)
    elongation = float(np.sqrt(spread[1] / spread[0]))
    return Blob(mask, corner.astype(np.float64), area, centre, axes[:, 1], elongation, hull)


def _is_cut(blob: Blob, size_hw: Size) -> bool:
    """Whether the blob touches the image's edge, or lies beyond it."""
    end = blob.corner + blob.mask.shape[::-1]
    return bool((blob.corner <= EDGE_PX).any() or (end >= np.array(size_hw[::-1]) - EDGE_PX).any())


def _wrist(blobs: dict[int, Blob]) -> Floats:
    """Where bones grow from: the capitate's centre, else the middle of all."""
    nearest = [blobs[_CAPITATE]] if _CAPITATE in blobs else list(blobs.values())
    return np.mean([blob.corner + blob.centre for blob in nearest], axis=0) if nearest else np.zeros(2)


def _topology(blob: Blob) -> tuple[float, float, float]:
    """The share of holes, the share that is not in the largest piece, and the solidity."""
    outlines, _ = cv2.findContours(blob.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    canvas = np.zeros_like(blob.mask)
    cv2.drawContours(canvas, outlines, -1, 1, cv2.FILLED)
    filled = np.count_nonzero(canvas)
    apart = 0.0
    if len(outlines) > 1:
        _, _, stats, _ = cv2.connectedComponentsWithStats(blob.mask, connectivity=8)
        apart = 1 - float(stats[1:, cv2.CC_STAT_AREA].max()) / blob.area
    cv2.fillConvexPoly(canvas, blob.hull, 1)
    return 1 - blob.area / filled, apart, blob.area / np.count_nonzero(canvas)


def _widths(blob: Blob, outward: Floats) -> Floats:
    """The width in slices across the long axis, over the root of the area, as logarithms.

    The mask is turned upright first: counting pixels of a slanted lattice would make stripes.
    """
    along = blob.axis if blob.axis @ outward >= 0 else -blob.axis
    across = np.array([-along[1], along[0]])
    frame = np.stack([across, along])
    extent = (blob.hull[:, 0] - blob.centre) @ frame.T
    low, high = extent.min(axis=0) - 0.5, extent.max(axis=0) + 0.5
    pixel = (high - low) / (_COLUMNS, _ROWS)
    first = blob.centre + (low + pixel / 2) @ frame
    matrix = np.column_stack([across * pixel[0], along * pixel[1], first])
    upright = cv2.warpAffine(
        blob.mask.astype(np.float32), matrix, (_COLUMNS, _ROWS), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    width = upright.sum(axis=1, dtype=np.float64).reshape(SLICES, -1).mean(axis=1) * pixel[0]
    logs: Floats = np.log(np.maximum(width, 0.5) / np.sqrt(blob.area))
    return logs
