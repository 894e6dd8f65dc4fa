"""Corrections of finished masks: keep only the largest piece of a class, fill its holes. A config switches them on.

They take and return packed masks and work on the runs of each class. Pieces are runs that touch, so the time grows with
the length of the masks' borders, not with the number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from data.masks.rle import Runs, encode
from utils.arrays import Bytes, Ints, Packed
from utils.system.jit import kernel

# Shapes: C classes, K bytes, H/W pixels, R runs, S segments: stretches of one class within one row of the image.
PostProcess: TypeAlias = Callable[[Packed, int], Packed]
"""Takes a packed mask uint8[H, W, K] and its number of classes; returns the corrected mask, the given one unchanged."""
Segments: TypeAlias = Ints
"""int64[S, 3]: row, first column, first column after the segment; in the order of the image."""


def postprocess_mask(packed: Packed, classes: int, cleanups: Sequence[PostProcess]) -> Packed:
    """Apply `cleanups` to a mask, one after the other."""
    for cleanup in cleanups:
        packed = cleanup(packed, classes)
    return packed


def keep_largest() -> PostProcess:
    """Keep the largest piece of each class alone; pixels that touch at a corner belong together.

    Of equal pieces the upper one stays, on one row the left one.
    """
    return _without_small_pieces


def fill_holes() -> PostProcess:
    """Fill what a class encloses: background that no path, pixel beside pixel, joins with the edge of the image."""
    return _with_filled_holes


POSTPROCESSES = {"keep_largest": keep_largest, "fill_holes": fill_holes}


def _without_small_pieces(packed: Packed, classes: int) -> Packed:
    return _with_flipped(packed, classes, lambda runs: _small_pieces(_segments(runs, packed.shape[1])))


def _with_filled_holes(packed: Packed, classes: int) -> Packed:
    return _with_flipped(packed, classes, lambda runs: _holes(_segments(runs, packed.shape[1]), packed.shape[1]))


def _with_flipped(packed: Packed, classes: int, find: Callable[[Runs], Segments]) -> Packed:
    """Return the mask with the segments inverted that `find` returns for each class; the mask itself if none."""
    changed = packed
    for index, runs in enumerate(encode(packed, classes)):
        segments = find(runs)
        if len(segments):
            changed = packed.copy() if changed is packed else changed
            _flip_bits(changed[..., index // 8], segments, np.uint8(1 << index % 8))
    return changed


def _small_pieces(segments: Segments) -> Segments:
    """Return the segments outside the largest piece."""
    piece = _pieces(segments, 1)
    sizes = np.bincount(piece, weights=segments[:, 2] - segments[:, 1])
    return segments[piece != sizes.argmax()] if len(segments) else segments


def _holes(segments: Segments, width: int) -> Segments:
    """Return the segments of background that lie in enclosed pieces."""
    gaps = _gaps(segments, width)
    piece = _pieces(gaps, 0)
    # A piece of background is open if one of its gaps reaches the image's edge, or the first or last row of the class.
    first, last = (segments[0, 0], segments[-1, 0]) if len(segments) else (0, 0)
    open_gaps = (gaps[:, 1] == 0) | (gaps[:, 2] == width) | (gaps[:, 0] == first) | (gaps[:, 0] == last)
    is_open = np.zeros(len(gaps), np.bool_)
    is_open[piece[open_gaps]] = True
    return gaps[~is_open[piece]]


def _segments(runs: Runs, width: int) -> Segments:
    """Split runs, which may continue over the end of a row, into segments within rows."""
    rows, ends = runs[:, 0] // width, (runs.sum(axis=1) - 1) // width
    if not (ends > rows).any():
        first = runs[:, 0] - rows * width
        return np.column_stack((rows, first, first + runs[:, 1]))
    # One segment for each row that a run touches: the full row, except in the run's first and last row.
    pieces = ends - rows + 1
    row = np.repeat(rows, pieces) + np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = np.maximum(np.repeat(runs[:, 0], pieces) - row * width, 0)
    after = np.minimum(np.repeat(runs.sum(axis=1), pieces) - row * width, width)
    return np.column_stack((row, first, after))


@kernel
def _gaps(segments: Segments, width: int) -> Segments:
    """Return the background as segments, from the first row that the class touches to the last."""
    count = segments.shape[0]
    gaps = np.empty((count + (segments[-1, 0] - segments[0, 0] + 1 if count else 0), 3), np.int64)
    found, here = 0, 0  # gaps written, the next segment
    row = segments[0, 0] if count else 0
    while here < count:
        # In each row: the gaps before its segments, then the gap up to the right edge.
        column = 0
        while here < count and segments[here, 0] == row:
            if segments[here, 1] > column:
                gaps[found] = row, column, segments[here, 1]
                found += 1
            column = segments[here, 2]
            here += 1
        if column < width:
            gaps[found] = row, column, width
            found += 1
        row += 1
    return gaps[:found]


@kernel
def _pieces(segments: Segments, reach: int) -> Ints:
    """Return the piece of each segment, int64[S]: the number of the piece's first segment.

    With `reach` 1 segments that touch at a corner belong together, with 0 only those that share a side.
    """
    parent = np.arange(segments.shape[0])
    above = 0  # the first segment of the row above that may touch the current one or a later one
    for here in range(segments.shape[0]):
        row, first, after = segments[here]
        while segments[above, 0] < row - 1 or (segments[above, 0] == row - 1 and segments[above, 2] + reach <= first):
            above += 1
        other = above
        while segments[other, 0] == row - 1 and segments[other, 1] < after + reach:
            a, b = _root(parent, here), _root(parent, other)
            parent[max(a, b)] = min(a, b)
            other += 1
    for here in range(segments.shape[0]):
        parent[here] = _root(parent, here)
    return parent


@kernel
def _root(parent: Ints, segment: int) -> int:
    """Follow `parent` to the first segment of a piece, and shorten the path on the way (union-find)."""
    while parent[segment] != segment:
        parent[segment] = parent[parent[segment]]
        segment = parent[segment]
    return segment


@kernel
def _flip_bits(byte_HW: Bytes, segments: Segments, bit: np.uint8) -> None:
    """Flip one bit along segments, in place."""
    for index in range(segments.shape[0]):
        row, first, after = segments[index]
        for column in range(first, after):
            byte_HW[row, column] ^= bit
