"""Surfaces: closing, cutting, building anew, and their projection."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from data.phantom.projection import add_thickness
from data.phantom.remesh import remesh, surface_of_rods
from data.phantom.rods import rod
from data.phantom.surface import Surface, close, crop_below, normals

CORNERS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)
FACES = np.array(
    [
        *((0, 2, 1), (1, 2, 3), (4, 5, 6), (5, 7, 6), (0, 1, 4), (1, 5, 4)),
        *((2, 6, 3), (3, 6, 7), (0, 4, 2), (2, 4, 6), (1, 3, 5), (3, 7, 5)),
    ],
    dtype=np.int32,
)


def box(width: float, height: float, depth: float, at: tuple[float, float, float] = (0, 0, 0)) -> Surface:
    return Surface(CORNERS * (width, height, depth) + at, FACES)


def thickness(surface: Surface, shape: tuple[int, int]) -> NDArray[np.float32]:
    image = np.zeros(shape, dtype=np.float32)
    add_thickness(image, surface.vertices, surface.faces, 1.0)
    return image


def test_a_box_is_as_thick_as_it_is_deep_everywhere() -> None:
    image = thickness(box(6, 4, 5, at=(2, 3, 7)), (12, 12))
    assert image[3:7, 2:8] == pytest.approx(5)
    image[3:7, 2:8] = 0
    assert not image.any()


def test_parts_outside_the_image_are_cut() -> None:
    assert thickness(box(60, 40, 5, at=(-20, -20, 0)), (8, 8)) == pytest.approx(5)


def test_the_shadow_of_a_ball_has_its_volume() -> None:
    ball = surface_of_rods([rod(np.array([20.0, 20, 0]), 9, np.array([20.001, 20, 0]), 9)], grid_mm=0.5)
    image = thickness(ball, (40, 40))
    assert image.sum() == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.02)
    assert image.max() == pytest.approx(18, rel=0.02)


@pytest.mark.parametrize("missing", [[0], [0, 1], [0, 5, 9], [2, 3, 4, 5]])
def test_close_mends_any_hole(missing: list[int]) -> None:
    torn = Surface(box(6, 4, 5).vertices, np.delete(FACES, missing, axis=0))
    closed = close(torn)
    edges = closed.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = sorted(map(tuple, edges.tolist()))
    back = sorted(map(tuple, edges[:, ::-1].tolist()))
    assert there == back


def test_close_leaves_a_closed_surface_alone() -> None:
    whole = box(1, 1, 1)
    assert close(whole) is whole


def test_crop_below_keeps_what_lies_above() -> None:
    upper = crop_below(box(1, 1, 1), 0.5)
    assert upper.vertices[:, 1].max() <= 0.5
    assert len(upper.faces) == 2


def test_remesh_adds_and_cuts_rods() -> None:
    plain = remesh(box(20, 20, 20), spacing_mm=1.0, blur_mm=1.0)
    more = remesh(box(20, 20, 20), spacing_mm=1.0, blur_mm=1.0, added=[(10, 10, 10, 4, 26, 10, 10, 4)])
    less = remesh(box(20, 20, 20), spacing_mm=1.0, blur_mm=1.0, cut=[(10, 10, 20, 6, 10, 10, 21, 6)])
    volumes = [float(thickness(Surface(s.vertices + 8.0, s.faces), (48, 48)).sum()) for s in (less, plain, more)]
    assert volumes[0] < 0.98 * volumes[1]
    assert volumes[1] == pytest.approx(8000, rel=0.03)
    assert volumes[2] > 1.02 * volumes[1]


def test_normals_point_outwards() -> None:
    ball = surface_of_rods([rod(np.zeros(3), 5, np.array([0.001, 0, 0]), 5)], grid_mm=0.5)
    outward = ball.vertices / np.linalg.norm(ball.vertices, axis=1, keepdims=True)
    assert (normals(ball) * outward).sum(axis=1).min() > 0.9
