"""Compute the Dice of every class at every threshold of a grid, in one pass over an image's logits.

Each pixel is counted once, under the highest threshold that it exceeds, in two histograms per class: of all pixels and
of the true ones. Their sums from above are the areas at each threshold, so nothing of the image's size is stored.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from data.masks.binarize import Taps, logits_of, taps
from data.masks.packed import areas
from trainer.prediction.binarize import resized
from trainer.prediction.transfer import to_device
from utils.arrays import Bytes, Floats, Floats32, Ints
from utils.bit_tensor import unpack_bits
from utils.system.jit import kernel

# Shapes: C classes, h/w the network's output, H/W the native image, K bytes of a packed mask, T thresholds.
Counts: TypeAlias = Ints
"""int64[2, C, T + 1]: of all pixels and of the true ones, how many exceed exactly the first 0 … T thresholds."""

THRESHOLDS = tuple(round(0.05 + 0.01 * step, 2) for step in range(91))
"""The grid, probabilities: 0.05, 0.06 … 0.95, and 0.5 among them."""


@torch.inference_mode()
def dice_curves(logits_Chw: Tensor, truth_HWK: Bytes) -> Floats:
    """Compute the Dice of each class at each of `THRESHOLDS`, float64[C, T]; a class absent from both sides scores 1.

    Masks are those of `trainer.prediction.binarize.binarize` at the size of the truth, which is the image's own.
    """
    counts = count_pixels(logits_Chw, truth_HWK, logits_of(THRESHOLDS, len(THRESHOLDS)))
    areas_CT, both_CT = (np.cumsum(of[:, ::-1], axis=1)[:, ::-1] for of in counts)
    total_CT = areas_CT[:, 1:] + both_CT[:, :1]
    return np.where(total_CT > 0, 2 * both_CT[:, 1:] / np.maximum(total_CT, 1), 1.0)


def count_pixels(logits_Chw: Tensor, truth_HWK: Bytes, cuts_T: Floats32) -> Counts:
    """Count pixels in the histograms of `cuts_T`, which are logits in rising order."""
    if logits_Chw.device.type == "cpu":
        return _count_on_cpu(logits_Chw.float().contiguous().numpy(), truth_HWK, cuts_T)
    return count_on_device(logits_Chw, truth_HWK, cuts_T)


def count_on_device(logits_Chw: Tensor, truth_HWK: Bytes, cuts_T: Floats32) -> Counts:
    """Count on the device, eight classes at a time."""
    cuts, bins = to_device(cuts_T, logits_Chw.device), len(cuts_T) + 1
    truth_1HWK = to_device(truth_HWK, logits_Chw.device)[None]
    found = []
    for classes, octet in resized(logits_Chw, truth_HWK.shape[:2]):
        truth = unpack_bits(truth_1HWK[..., classes.start // 8, None], len(octet))[0].bool().flatten(1)
        place = torch.bucketize(octet.flatten(1), cuts)
        place += bins * torch.arange(len(octet), device=place.device)[:, None]
        both = [torch.bincount(of.flatten(), minlength=bins * len(octet)) for of in (place, place[truth])]
        found.append(torch.stack(both).view(2, len(octet), bins))
    return torch.cat(found, dim=1).cpu().numpy()


def _count_on_cpu(logits_Chw: Floats32, truth_HWK: Bytes, cuts_T: Floats32) -> Counts:
    """Interpolate only at borders, as `binarize` does; pixels below all thresholds are the rest."""
    classes, (height, width) = len(logits_Chw), truth_HWK.shape[:2]
    margin = np.float32(16 * np.finfo(np.float32).eps * np.abs(cuts_T).max() + 1e-30)
    rows, columns = (taps(*sizes) for sizes in zip(logits_Chw.shape[1:], (height, width), strict=True))
    counts = np.zeros((2, classes, len(cuts_T) + 1), np.int64)
    for index in range(classes):
        byte_HW, bit = truth_HWK[..., index // 8], np.uint8(1 << index % 8)
        _count_class(logits_Chw[index], byte_HW, bit, rows, columns, cuts_T, margin, counts[:, index])
    counts[0, :, 0] = height * width - counts[0].sum(axis=1)
    counts[1, :, 0] = areas(truth_HWK, classes) - counts[1].sum(axis=1)
    return counts


@kernel
def _count_class(
    logits_hw: Floats32,
    truth_HW: Bytes,
    bit: np.uint8,
    rows: Taps,
    columns: Taps,
    cuts_T: Floats32,
    margin: np.float32,
    counts: Counts,
) -> None:
    """Add the pixels of one class that exceed a threshold to `counts` int64[2, T + 1], cell by cell."""
    low, high = cuts_T[0] - margin, cuts_T[-1] + margin
    for i in range(logits_hw.shape[0]):
        i1, top, bottom = rows.after[i], rows.starts[i], rows.starts[i + 1]
        for j in range(logits_hw.shape[1]) if top < bottom else range(0):
            j1, box = columns.after[j], (top, bottom, columns.starts[j], columns.starts[j + 1])
            corners = (logits_hw[i, j], logits_hw[i, j1], logits_hw[i1, j], logits_hw[i1, j1])
            if min(min(corners[0], corners[1]), min(corners[2], corners[3])) > high:
                _count_whole_cell(truth_HW, bit, box, cuts_T.size, counts)
            elif not max(max(corners[0], corners[1]), max(corners[2], corners[3])) < low:
                _count_cell(corners, rows.weights, columns.weights, truth_HW, bit, box, cuts_T, counts)


@kernel
def _count_whole_cell(
    truth_HW: Bytes, bit: np.uint8, box: tuple[int, int, int, int], place: int, counts: Counts
) -> None:
    """Count the pixels (top, bottom, left, right) of a cell that exceeds all thresholds."""
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            counts[0, place] += 1
            counts[1, place] += 1 if truth_HW[y, x] & bit else 0


@kernel
def _count_cell(
    corners: tuple[np.float32, np.float32, np.float32, np.float32],
    down: Floats32,
    across: Floats32,
    truth_HW: Bytes,
    bit: np.uint8,
    box: tuple[int, int, int, int],
    cuts_T: Floats32,
    counts: Counts,
) -> None:
    """Interpolate the pixels of one cell, first across, then down, in the arithmetic of `binarize`."""
    upper_left, upper_right, lower_left, lower_right = corners
    one = np.float32(1)
    for x in range(box[2], box[3]):
        share = across[x]
        upper = (one - share) * upper_left + share * upper_right
        lower = (one - share) * lower_left + share * lower_right
        for y in range(box[0], box[1]):
            place = np.searchsorted(cuts_T, (one - down[y]) * upper + down[y] * lower)
            if place > 0:
                counts[0, place] += 1
                counts[1, place] += 1 if truth_HW[y, x] & bit else 0
