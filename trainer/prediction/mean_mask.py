"""Make the mask of several networks' mean probability on a CPU, and compute only pixels that may belong to it.

A class is absent from every row and column in which the mean of the networks' highest values does not exceed the cut.
What is left is a box, for a small class a few per cent of the image. So no sum of all classes at native size is made,
which takes half a gigabyte at 2048 px and 29 classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.masks.binarize import taps
from data.masks.packed import bytes_of
from utils.arrays import Bools, Bytes, Floats32

# Shapes: C classes, h/w a network's output, H/W the native image, K bytes of a packed mask, n/m rows and columns of a
# box, N pixels of an axis, S source pixels of it.
ROUNDING = 1e-5
"""How far rounding may take a mean above its bound, many times over."""


@torch.inference_mode()
def mean_mask(
    logits: Sequence[Tensor], shares: Sequence[Floats32], size_hw: tuple[int, int], levels_C: Floats32
) -> Bytes:
    """The packed mask [H, W, K] of the pixels whose mean probability exceeds the class's cut, a probability.

    `logits`: of each network float32[C, h, w], resized bilinearly (corners not aligned) to `size_hw`; `shares`: how
    much each counts in each class, float32[C]. Pixels agree with those of `decode.add_probabilities` for each
    network and `binarize.binarize_at` for their sum, except if a mean equals the level up to the rounding of its last
    bits.
    """
    mask = np.zeros((*size_hw, bytes_of(len(levels_C))), np.uint8)
    sources = [Source(of.float(), weight_C, size_hw) for of, weight_C in zip(logits, shares, strict=True)]
    rows_CH, columns_CW = (possible([source.highest(axis) for source in sources], levels_C) for axis in (0, 1))
    for index, (in_row_H, in_column_W) in enumerate(zip(rows_CH, columns_CW, strict=True)):
        if in_row_H.any() and in_column_W.any():
            rows, columns = span(in_row_H), span(in_column_W)
            mean_nm = sum_of([source.counted(index, rows, columns) for source in sources])
            mask[rows, columns, index // 8] |= (mean_nm > levels_C[index]).numpy().view(np.uint8) << np.uint8(index % 8)
    return mask


def possible(highest: Sequence[Floats32], levels_C: Floats32) -> Bools:
    """bool[C, N]: whether the mean may exceed the level in a row or column; it may if a value is NaN."""
    impossible: Bools = np.sum(highest, axis=0) <= levels_C[:, None] - ROUNDING
    return ~impossible


class Source:
    """One network's logits with where each native pixel finds its value between theirs."""

    def __init__(self, logits_Chw: Tensor, weight_C: Floats32, size_hw: tuple[int, int]) -> None:
        self.logits_Chw, self.weight_C = logits_Chw, weight_C
        self.rows, self.columns = (axis_of(*sizes) for sizes in zip(logits_Chw.shape[1:], size_hw, strict=True))

    def highest(self, axis: int) -> Floats32:
        """What this network adds to the mean at most, float32[C, N]: in each native row (axis 0) or column (1)."""
        most_CS = self.logits_Chw.amax(2 - axis)
        at = (self.rows, self.columns)[axis]
        most_CN = torch.maximum(most_CS[:, at.before], most_CS[:, at.after])
        highest: Floats32 = most_CN.sigmoid_().numpy() * self.weight_C[:, None]
        return highest

    def counted(self, index: int, rows: slice, columns: slice) -> Tensor:
        """What this network adds to the mean of a class in a box of native pixels, float32[n, m]."""
        down, across = self.rows.part(rows), self.columns.part(columns)
        across_hm = across.between(self.logits_Chw[index, down.needed, across.needed], 1)
        return down.between(across_hm, 0).sigmoid_().mul_(float(self.weight_C[index]))


class Axis(NamedTuple):
    """For pixels of one axis: the source pixels before and after each, int64[N], and the share of the latter."""

    before: Tensor
    after: Tensor
    weights: Tensor

    def part(self, pixels: slice) -> Axis:
        return Axis(self.before[pixels], self.after[pixels], self.weights[pixels])

    @property
    def needed(self) -> slice:
        """The source pixels that these pixels lie between."""
        return slice(int(self.before[0]), int(self.after[-1]) + 1)

    def between(self, needed: Tensor, dim: int) -> Tensor:
        """Interpolate values of the `needed` source pixels along `dim`, in the arithmetic of `F.interpolate`."""
        first = self.needed.start
        weights = self.weights[:, None] if dim == 0 else self.weights
        before, after = (needed.index_select(dim, place - first) for place in (self.before, self.after))
        return before.mul_(1 - weights).add_(after.mul_(weights))


def axis_of(source: int, target: int) -> Axis:
    """`target` pixels between `source` ones."""
    after_S, starts, weights = taps(source, target)
    before = np.repeat(np.arange(source), np.diff(starts))
    return Axis(torch.from_numpy(before), torch.from_numpy(after_S[before]), torch.from_numpy(weights))


def span(inside: Bools) -> slice:
    """From the first that is inside to the last."""
    places = np.flatnonzero(inside)
    return slice(int(places[0]), int(places[-1]) + 1)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Added up in place of the first, in order."""
    total, *others = parts
    for other in others:
        total += other
    return total
