from __future__ import annotations

import numpy as np
import pytest

from data.cutout.metrics.boundary import boundary_accuracy, edge_of, thin_recall

EMPTY = np.zeros((64, 64))


def square(left: int, side: int = 20) -> np.ndarray:
    alpha = np.zeros((64, 64))
    alpha[20 : 20 + side, left : left + side] = 1
    return alpha


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_edges_within_two_pixels_are_right(shift: int) -> None:
    assert boundary_accuracy(square(20 + shift), square(20)) == 1.0


def test_edges_farther_away_are_wrong() -> None:
    """The right value by measuring every distance between the pixels of the two edges."""
    for mask, true in ((square(25), square(20)), (square(22, 9), square(20)), (square(43), square(0))):
        edges = [np.argwhere(edge_of(alpha >= 0.5)) for alpha in (mask, true)]
        away_px = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2)
        shares = [(away_px.min(axis=axis) <= 2).mean() for axis in (0, 1)]
        assert boundary_accuracy(mask, true) == pytest.approx(np.mean(shares))
    assert boundary_accuracy(square(43), square(0)) == 0.0


def test_empty_masks_agree_with_empty_ones_alone() -> None:
    assert boundary_accuracy(EMPTY, EMPTY) == 1.0
    assert boundary_accuracy(EMPTY, square(20)) == boundary_accuracy(square(20), EMPTY) == 0.0
    assert boundary_accuracy(np.ones((64, 64)), np.ones((64, 64))) == 1.0


def test_an_edge_is_inside_its_mask_and_the_images_border_is_none() -> None:
    half = np.zeros((8, 8), bool)
    half[:4] = True
    assert np.argwhere(edge_of(half)).tolist() == [[3, column] for column in range(8)]


def test_thin_parts_are_those_narrower_than_five_pixels() -> None:
    truth = square(20)
    truth[30, 40:60] = 1  # a hair of 20 px that sticks out
    assert thin_recall(truth, truth) == 1.0
    assert thin_recall(square(20), truth) == 0.0
    part = truth.copy()
    part[30, 50:60] = 0
    assert thin_recall(part, truth) == 0.5
    assert thin_recall(EMPTY, square(20)) is None
