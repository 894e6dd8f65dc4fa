"""Closed triangle surfaces: mend them, cut them, find their normals. Knows nothing of hands.

Units are whatever the vertices are in (here millimetres). Faces turn counter-clockwise seen from outside.
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


def normals(surface: Surface) -> Floats:
    """Outward unit normals [V, 3] of the vertices, weighted by the areas of the faces around them."""
    corners = surface.vertices[surface.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [np.bincount(surface.faces.ravel(), np.repeat(across[:, i], 3), len(surface.vertices)) for i in range(3)],
        axis=1,
    )
    unit: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return unit


def _lone_edges(faces: Ints32) -> Ints:
    """Directed edges [E, 2] that no face runs through the other way; repeated when they lack several partners."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    low, high = directed.min(axis=1), directed.max(axis=1)
    undirected, place = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    balance = np.bincount(place.reshape(-1), weights=np.where(directed[:, 0] == low, 1, -1)).astype(np.int64)
    forward = np.repeat(undirected, np.maximum(balance, 0), axis=0)
    backward = np.repeat(undirected[:, ::-1], np.maximum(-balance, 0), axis=0)
    return np.concatenate([forward, backward])


def _connected(edges: Ints, count: int) -> Ints:
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
