"""From logits at the network's size to a packed mask at the image's: bilinear resize, cut and pack in one step.

Shapes: C classes, h/w the network's output, H/W the native image, K = ceil(C/8) bytes, n output pixels of an axis.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from data.bits import pack_byte
from data.masks import bytes_of
from utils.jit import kernel

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]

WORD = 32
"""Classes that the CPU handles at a time, one bit each."""


@torch.inference_mode()
def harden(logits_Chw: Tensor, size_hw: tuple[int, int], threshold: float) -> Bytes:
    """Resize logits bilinearly (`F.interpolate`, corners not aligned) to `size_hw`, cut at `threshold`, and pack.

    Logits are compared with logit(threshold), which spares the sigmoid; they are packed where they are, so 1/32 of
    their bytes leave a device. A CPU may decide otherwise than torch where a resized logit equals the cut but for the
    rounding of its last bit; torch's own result there depends on the memory layout and the processor.
    """
    cut = _logit(threshold)
    if logits_Chw.device.type == "cpu":
        return _harden_on_cpu(logits_Chw.float().contiguous().numpy(), size_hw, cut)
    return harden_on_device(logits_Chw, size_hw, cut)


def harden_on_device(logits_Chw: Tensor, size_hw: tuple[int, int], cut: float) -> Bytes:
    """Eight classes (one byte) at a time."""
    planes = []
    for octet in logits_Chw.split(8):
        planes.append(pack_byte((_resized(octet.float(), size_hw) > cut)[None])[0])
    return torch.stack(planes, dim=-1).cpu().numpy()


def _harden_on_cpu(logits_Chw: Floats, size_hw: tuple[int, int], cut: float) -> Bytes:
    """Interpolate only where a mask's border runs, a few per cent of the pixels.

    An interpolated value lies between its four corners. Where all four are above the cut, or all below, by more than
    rounding can undo, it is known without being computed.
    """
    groups = [logits_Chw[start : start + WORD] for start in range(0, len(logits_Chw), WORD)]
    words = [_harden_group(group, size_hw, cut) for group in groups]
    packed = [group.view(np.uint8).reshape(*size_hw, 4) for group in words]
    all_bytes = packed[0] if len(packed) == 1 else np.concatenate(packed, axis=2)
    return np.ascontiguousarray(all_bytes[:, :, : bytes_of(len(logits_Chw))])


def _harden_group(logits_Chw: Floats, size_hw: tuple[int, int], cut: float) -> Words:
    """The hard masks uint32[H, W] of at most 32 classes."""
    margin = 16 * float(np.finfo(np.float32).eps) * abs(cut) + 1e-30 if math.isfinite(cut) else 0.0
    if logits_Chw.shape[1:] == size_hw:
        return compare(logits_Chw, np.float32(cut), np.float32(cut))[0]
    above, below = compare(logits_Chw, np.float32(cut + margin), np.float32(cut - margin))
    rows, columns = (taps(*sizes) for sizes in zip(logits_Chw.shape[1:], size_hw, strict=True))
    words = np.empty(size_hw, np.uint32)
    blend(logits_Chw, above, below, rows, columns, np.float32(cut), words)
    return words


class Taps(NamedTuple):
    """How the pixels of one axis are mixed from cells: cell i lies between source pixels i and `after[i]`."""

    after: npt.NDArray[np.int64]
    """int64[source]: the next source pixel; the last is its own."""
    starts: npt.NDArray[np.int64]
    """int64[source + 1]: cell i makes the output pixels starts[i] … starts[i + 1] - 1."""
    weights: Floats
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
def compare(logits_Chw: Floats, high: np.float32, low: np.float32) -> tuple[Words, Words]:
    """Two uint32[h, w]: bit c is set where the logit of class c is above `high`, and where it is below `low`."""
    classes, height, width = logits_Chw.shape
    above, below = np.zeros((height, width), np.uint32), np.zeros((height, width), np.uint32)
    for y in range(height):
        for c in range(classes):
            bit = np.uint32(1 << c)
            for x in range(width):
                above[y, x] |= bit if logits_Chw[c, y, x] > high else np.uint32(0)
                below[y, x] |= bit if logits_Chw[c, y, x] < low else np.uint32(0)
    return above, below


@kernel
def blend(
    logits_Chw: Floats, above: Words, below: Words, rows: Taps, columns: Taps, cut: np.float32, words: Words
) -> None:
    """Fill `words` uint32[H, W] cell by cell: from the bits of the four corners, and by computing where they differ."""
    everything = np.uint32((1 << logits_Chw.shape[0]) - 1)
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
                    corners = (logits_Chw[c, i, j], logits_Chw[c, i, j1], logits_Chw[c, i1, j], logits_Chw[c, i1, j1])
                    _blend_cell(corners, rows.weights, columns.weights, cut, c, words, (top, bottom, left, right))
                unsure >>= np.uint32(1)
                c += 1


@kernel
def _blend_cell(
    corners: tuple[np.float32, np.float32, np.float32, np.float32],
    down: Floats,
    across: Floats,
    cut: np.float32,
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
            if (one - down[y]) * upper + down[y] * lower > cut:
                words[y, x] |= bit


def _resized(logits_Chw: Tensor, size_hw: tuple[int, int]) -> Tensor:
    if tuple(logits_Chw.shape[-2:]) == size_hw:
        return logits_Chw
    resized: Tensor = F.interpolate(logits_Chw[None], size_hw, mode="bilinear", align_corners=False)
    return resized[0]


def _logit(probability: float) -> float:
    """ln(p / (1-p)); 0 and 1 give the infinities, so that nothing respectively everything is cut."""
    if probability <= 0:
        return -math.inf
    return math.inf if probability >= 1 else math.log(probability / (1 - probability))
