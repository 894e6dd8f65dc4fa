"""Make packed masks at an image's size from values at a network's size, in NumPy: bilinear resize, threshold and pack.

Shapes: C classes, h/w the network's output, H/W the native image, K = ceil(C/8) bytes, n output pixels of an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from data.masks.packed import bytes_of
from utils.arrays import Bytes, Floats32, Ints, Words
from utils.system.jit import kernel

Threshold: TypeAlias = float | Sequence[float]
"""A probability in 0..1 for all classes, or one for each."""

WORD = 32
"""Classes handled at a time, one bit of a word each."""


def logits_of(threshold: Threshold, classes: int) -> Floats32:
    """ln(p / (1-p)) for each class, float32[C]; 0 and 1 give the infinities, so that nothing or everything is cut."""
    probabilities = np.broadcast_to(np.asarray(threshold, np.float64), classes)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probabilities) - np.log1p(-probabilities), np.float32)


def binarize_values(values_Chw: Floats32, size_hw: tuple[int, int], levels_C: Floats32) -> Bytes:
    """Resize values of any kind to `size_hw`; a pixel belongs to a class if its value exceeds the class's level.

    The masks uint8[H, W, K] are those of a bilinear resize (corners not aligned). Only borders of masks are
    interpolated, a few per cent of the pixels.

    An interpolated value lies between its four corners. If all four are above the level, or all below, by more than
    rounding can change, the value need not be computed.
    """
    groups = [slice(start, start + WORD) for start in range(0, len(values_Chw), WORD)]
    words = [_binarize_group(values_Chw[group], size_hw, levels_C[group]) for group in groups]
    packed = [group.view(np.uint8).reshape(*size_hw, 4) for group in words]
    all_bytes = packed[0] if len(packed) == 1 else np.concatenate(packed, axis=2)
    return np.ascontiguousarray(all_bytes[:, :, : bytes_of(len(values_Chw))])


def _binarize_group(values_Chw: Floats32, size_hw: tuple[int, int], levels_C: Floats32) -> Words:
    """The hard masks uint32[H, W] of at most 32 classes."""
    if values_Chw.shape[1:] == size_hw:
        return compare(values_Chw, levels_C, levels_C)[0]
    finite = np.where(np.isfinite(levels_C), levels_C, 0)
    margin_C = np.where(np.isfinite(levels_C), 16 * np.finfo(np.float32).eps * np.abs(finite) + 1e-30, 0)
    above, below = compare(
        values_Chw, (levels_C + margin_C).astype(np.float32), (levels_C - margin_C).astype(np.float32)
    )
    rows, columns = (taps(*sizes) for sizes in zip(values_Chw.shape[1:], size_hw, strict=True))
    words = np.empty(size_hw, np.uint32)
    blend(values_Chw, above, below, rows, columns, levels_C, words)
    return words


class Taps(NamedTuple):
    """How the pixels of one axis are interpolated: cell i lies between source pixels i and `after[i]`."""

    after: Ints
    """int64[source]: the next source pixel; the last is its own."""
    starts: Ints
    """int64[source + 1]: cell i makes the output pixels starts[i] … starts[i + 1] - 1."""
    weights: Floats32
    """float32[n]: the share of `after` in each output pixel, 0..1."""


def taps(source: int, target: int) -> Taps:
    """As `F.interpolate` does for `target` pixels from `source`, in its float32 arithmetic."""
    scale = np.float32(source) / np.float32(target)
    places = np.maximum(scale * (np.arange(target, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5), 0)
    cells = np.minimum(places.astype(np.int64), source - 1)
    weights = np.clip(places - cells.astype(np.float32), 0, 1).astype(np.float32)
    after = np.minimum(np.arange(source) + 1, source - 1)
    return Taps(after, np.searchsorted(cells, np.arange(source + 1)), weights)


@kernel
def compare(values_Chw: Floats32, high_C: Floats32, low_C: Floats32) -> tuple[Words, Words]:
    """Two uint32[h, w]: bit c is set if the value of class c is above its `high`, and if it is below its `low`."""
    classes, height, width = values_Chw.shape
    above, below = np.zeros((height, width), np.uint32), np.zeros((height, width), np.uint32)
    for y in range(height):
        for c in range(classes):
            bit, high, low = np.uint32(1 << c), high_C[c], low_C[c]
            for x in range(width):
                above[y, x] |= bit if values_Chw[c, y, x] > high else np.uint32(0)
                below[y, x] |= bit if values_Chw[c, y, x] < low else np.uint32(0)
    return above, below


@kernel
def blend(
    values_Chw: Floats32, above: Words, below: Words, rows: Taps, columns: Taps, levels_C: Floats32, words: Words
) -> None:
    """Fill `words` uint32[H, W] cell by cell: from the bits of the corners if they agree, else by interpolation."""
    everything = np.uint32((1 << values_Chw.shape[0]) - 1)
    for i in range(above.shape[0]):
        i1, top, bottom = rows.after[i], rows.starts[i], rows.starts[i + 1]
        for j in range(above.shape[1]) if top < bottom else range(0):
            j1, left, right = columns.after[j], columns.starts[j], columns.starts[j + 1]
            on = above[i, j] & above[i, j1] & above[i1, j] & above[i1, j1]
            off = below[i, j] & below[i, j1] & below[i1, j] & below[i1, j1]
            for y in range(top, bottom):
                for x in range(left, right):
                    words[y, x] = on
            unsure = everything & ~(on | off)
            c = 0
            while unsure:
                if unsure & np.uint32(1):
                    corners = (values_Chw[c, i, j], values_Chw[c, i, j1], values_Chw[c, i1, j], values_Chw[c, i1, j1])
                    _blend_cell(
                        corners, rows.weights, columns.weights, levels_C[c], c, words, (top, bottom, left, right)
                    )
                unsure >>= np.uint32(1)
                c += 1


@kernel
def _blend_cell(
    corners: tuple[np.float32, np.float32, np.float32, np.float32],
    down: Floats32,
    across: Floats32,
    level: np.float32,
    c: int,
    words: Words,
    box: tuple[int, int, int, int],
) -> None:
    """Interpolate one class in the output pixels (top, bottom, left, right) of one cell, first across, then down."""
    upper_left, upper_right, lower_left, lower_right = corners
    one, bit = np.float32(1), np.uint32(1 << c)
    for x in range(box[2], box[3]):
        share = across[x]
        upper = (one - share) * upper_left + share * upper_right
        lower = (one - share) * lower_left + share * lower_right
        for y in range(box[0], box[1]):
            if (one - down[y]) * upper + down[y] * lower > level:
                words[y, x] |= bit
