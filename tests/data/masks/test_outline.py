from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.masks import packed as masks
from data.masks.outline import cuts, outlines, outlines_of_runs
from data.masks.rle import encode

SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))
NOISE = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1))


@st.composite
def bones(draw: st.DrawFn) -> np.ndarray:
    """A mask uint8[H, W] of a few discs, some of them cut out: borders, holes, rings in rings."""
    mask = np.zeros(draw(st.tuples(st.integers(8, 60), st.integers(8, 60))), np.uint8)
    rows, columns = np.indices(mask.shape)
    for _ in range(draw(st.integers(1, 7))):
        row, column, radius = draw(st.tuples(st.integers(-5, 65), st.integers(-5, 65), st.integers(0, 30)))
        mask[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = draw(st.sampled_from([1, 1, 0]))
    return mask


def refilled(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return masks.fill_polygons([(0, ring) for ring in rings], (shape[0], shape[1]), 1)[..., 0]


@settings(max_examples=300)
@given(NOISE)
def test_outlines_of_noise_fill_to_the_mask(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(refilled(outlines(mask), mask.shape), mask)


@settings(max_examples=100)
@given(bones())
def test_outlines_of_shapes_fill_to_the_mask(mask: np.ndarray) -> None:
    rings = outlines(mask)
    np.testing.assert_array_equal(refilled(rings, mask.shape), mask)
    (runs,) = encode(mask[..., None], 1)
    for ring, other in zip(outlines_of_runs(runs, mask.shape[1]), rings, strict=True):
        np.testing.assert_array_equal(ring, other)


@pytest.mark.parametrize(
    "picture",
    [
        "x",
        "xx",
        "x x",
        "x.\n.x",
        "xxx\nx.x\nxxx",
        ".x.\nx.x\n.x.",
        "xxxxx\nx...x\nx.x.x\nx...x\nxxxxx",
        "xxxxxx\nx.xx.x\nx.xx.x\nx....x\nxxxxxx",
        "xxxxx\nx.x.x\nxxxxx\nxx.xx\nxxxxx",
        "..x..\n..x..\nxxxxx\n..x..\n..x..",
        "xxx....\nx.xxxxx\nxxx....",
    ],
)
def test_pixels_lines_corners_and_holes_fill_to_themselves(picture: str) -> None:
    mask = np.array([[letter == "x" for letter in line] for line in picture.split("\n")], np.uint8)
    rings = outlines(mask)
    np.testing.assert_array_equal(refilled(rings, mask.shape), mask)
    assert all(len(ring) >= 3 for ring in rings)


def test_a_mask_without_holes_is_one_ring_a_part_and_holes_side_by_side_share_a_cut() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[5:30, 5:55] = 1
    assert len(outlines(mask)) == 1
    mask[10:20, 10:20] = mask[15:25, 30:40] = 0
    assert cuts(mask) == [20]
    assert len(outlines(mask)) == 2


def test_the_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((4, 5), np.uint8)) == []
    assert outlines_of_runs(np.empty((0, 2), np.int64), 5) == []
