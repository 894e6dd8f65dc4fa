"""Triangle surfaces in general: close holes, crop, compute normals.

Lengths have the unit of the vertices (here millimetres). Faces are counter-clockwise seen from outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.arrays import Floats, Ints, Ints32


@dataclass(frozen=True)
class Surface:
    """Vertices [V, 3] and faces [F, 3] (indices of vertices)."""

    vertices: Floats
    faces: Ints32


def close(surface: Surface) -> Surface:
    """Close every hole with a cone of triangles from the hole's edge to its centre; return a closed surface unchanged.

    The edges that belong to one face only always form closed loops, so a cone over each loop closes a hole of any
    shape.
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
    """Drop the faces that reach below `y` (greater y); the surface is then open there."""
    faces = surface.faces[(surface.vertices[surface.faces, 1] <= y).all(axis=1)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return Surface(surface.vertices[used], renumbered.reshape(faces.shape).astype(np.int32))


def normals(surface: Surface) -> Floats:
    """Return the outward unit normals [V, 3] of the vertices, the mean over their faces weighted by area."""
    corners = surface.vertices[surface.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [np.bincount(surface.faces.ravel(), np.repeat(across[:, i], 3), len(surface.vertices)) for i in range(3)],
        axis=1,
    )
    unit: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return unit


def _lone_edges(faces: Ints32) -> Ints:
    """Return the directed edges [E, 2] without a face that has them in the opposite direction.

    An edge is repeated if it lacks several of these.
    """
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    low, high = directed.min(axis=1), directed.max(axis=1)
    undirected, place = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    balance = np.bincount(place.reshape(-1), weights=np.where(directed[:, 0] == low, 1, -1)).astype(np.int64)
    forward = np.repeat(undirected, np.maximum(balance, 0), axis=0)
    backward = np.repeat(undirected[:, ::-1], np.maximum(-balance, 0), axis=0)
    return np.concatenate([forward, backward])


def _connected(edges: Ints, count: int) -> Ints:
    """Return for each edge the number of the connected loop that it belongs to."""
    label = np.arange(count)  # of each vertex: the lowest vertex known to be connected with it
    while True:
        lowest = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        spread = label.copy()
        np.minimum.at(spread, edges[:, 0], lowest)
        np.minimum.at(spread, edges[:, 1], lowest)
        if np.array_equal(spread, label):
            return np.unique(label[edges[:, 0]], return_inverse=True)[1].reshape(-1)
        label = spread
