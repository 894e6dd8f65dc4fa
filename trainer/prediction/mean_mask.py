"""Make the mask of several networks' mean probability without a sum of all classes at native size.

That takes half a gigabyte at 2048 px and 29 classes. On a CPU only pixels are computed that may belong to the mask: a
class is absent from every row and column in which the mean of the networks' highest values does not exceed the cut, and
what is left is a box, for a small class a few per cent of the image. On a GPU eight classes at a time are averaged, cut
and packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.masks.binarize import taps
from data.masks.packed import bytes_of
from trainer.prediction.binarize import octets_of, pack_octets, resized_octet
from trainer.prediction.transfer import PendingMask, start_copy, to_device
from utils.arrays import Bools, Bytes, Floats32

# Shapes: C classes, h/w a network's output, H/W the native image, K bytes of a packed mask, n/m rows and columns of a
# box, N pixels of an axis, S source pixels of it.
ROUNDING = 1e-5
"""How far rounding may take a mean above its bound, many times over."""


@torch.inference_mode()
def start_mean_mask(
    logits: Sequence[Tensor], shares: Sequence[Floats32], size_hw: tuple[int, int], levels_C: Floats32
) -> PendingMask:
    """Begin what `mean_mask` does, on the device of the logits."""
    if logits[0].device.type != "cpu":
        return start_copy(mean_mask_on_device(logits, shares, size_hw, levels_C))
    mask = mean_mask(logits, shares, size_hw, levels_C)
    return lambda: mask


def mean_mask_on_device(
    logits: Sequence[Tensor], shares: Sequence[Floats32], size_hw: tuple[int, int], levels_C: Floats32
) -> Tensor:
    """The packed mask uint8[H, W, K] on the device of the logits, with the bits of a sum of all classes."""
    device = logits[0].device
    shares_C11 = [to_device(share_C, device)[:, None, None] for share_C in shares]

    def means() -> Iterator[tuple[slice, Tensor]]:
        for classes in octets_of(len(levels_C)):
            mean = torch.zeros((classes.stop - classes.start, *size_hw), device=device)
            for logits_Chw, share_C11 in zip(logits, shares_C11, strict=True):
                mean.addcmul_(resized_octet(logits_Chw[classes], size_hw).sigmoid(), share_C11[classes])
            yield classes, mean

    return pack_octets(means(), to_device(levels_C, device))


@torch.inference_mode()
def mean_mask(
    logits: Sequence[Tensor], shares: Sequence[Floats32], size_hw: tuple[int, int], levels_C: Floats32
) -> Bytes:
    """The packed mask [H, W, K] of the pixels whose mean probability exceeds the class's cut, a probability; on a CPU.

    `logits`: of each network float32[C, h, w], resized bilinearly (corners not aligned) to `size_hw`; `shares`: how
    much each counts in each class, float32[C]. Pixels agree with those of `decode.add_probabilities` for each
    network and `binarize.start_binarizing` for their sum, except if a mean equals the level up to the rounding of its
    last bits.
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
