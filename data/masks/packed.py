"""Packed masks: the masks of all classes of an image in bits, uint8[H, W, K] with K = ceil(C/8).

Class c is bit c%8 of byte c//8 (`numpy.packbits` over the class axis, little bit order), so classes may overlap. Bits
above the last class are always 0. The 29 masks of a 2048 px image take 16 MiB; as float32 they would take 464 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from utils.arrays import Bools, Floats, Ints, Mask, Packed, Ring, Size, Words
from utils.system.jit import kernel

# Shapes: C classes, K bytes, H/W pixels, G groups of 32 classes.


def bytes_of(classes: int) -> int:
    """Return K, the bytes of a pixel."""
    return -(-classes // 8)


def fill_polygons(polygons: Iterable[tuple[int, Ring]], size_hw: Size, classes: int) -> Packed:
    """Rasterise pairs of class index and ring int32[N, 2]; rings of one class unite, classes may overlap.

    The pixels are those of `cv2.fillPoly` on a full canvas (outlines included), also if a ring leaves the image.
    """
    packed = np.zeros((*size_hw, bytes_of(classes)), np.uint8)
    for index, ring in polygons:
        _fill(packed, index, ring)
    return packed


def pack(masks_HWC: Bools) -> Packed:
    """Pack bool[H, W, C] into uint8[H, W, K]."""
    return np.packbits(masks_HWC, axis=2, bitorder="little")


def pack_planes(masks_CHW: Bools) -> Packed:
    """Pack bool[C, H, W] into uint8[H, W, K]."""
    packed = np.zeros((*masks_CHW.shape[1:], bytes_of(len(masks_CHW))), np.uint8)
    for index, mask in enumerate(masks_CHW):
        packed[..., index // 8] |= mask.astype(np.uint8) << (index % 8)
    return packed


def unpack(packed: Packed, classes: int) -> Bools:
    """Unpack uint8[H, W, K] into bool[H, W, C]."""
    return np.unpackbits(packed, axis=2, count=classes, bitorder="little").view(np.bool_)


def unpack_planes(packed: Packed, classes: int) -> Bools:
    """Unpack uint8[H, W, K] into bool[C, H, W]."""
    return np.stack(list(planes(packed, classes)))


def planes(packed: Packed, classes: int) -> Iterator[Mask]:
    """Yield the mask of each class, bool[H, W]; several times as fast as `plane` for each, because bytes are copied."""
    for first in range(0, classes, 8):
        column = np.ascontiguousarray(packed[..., first // 8])
        for bit in range(min(8, classes - first)):
            yield (column & np.uint8(1 << bit)) != 0


def plane(packed: Packed, index: int) -> Mask:
    """Return the mask of one class, bool[H, W]."""
    return (packed[..., index // 8] & (1 << index % 8)).astype(np.bool_)


def areas(packed: Packed, classes: int) -> Ints:
    """Count the pixels of each class, int64[C]."""
    counts: Ints = _tally(packed, packed, classes)[0]
    return counts


def dice(pred: Packed, true: Packed, classes: int) -> Floats:
    """Return the Dice of each class, float64[C] in 0..1, by counting bits; a class absent from both scores 1.

    Raises `ValueError` if the two differ in shape: masks are compared at the image's own size.
    """
    if pred.shape != true.shape:
        raise ValueError(f"masks of shape {pred.shape} and {true.shape} cannot be compared")
    area_pred, area_true, both = _tally(pred, true, classes)
    total = area_pred + area_true
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)


def to_words(packed: Packed) -> Words:
    """Return the same bits as uint32[G, H·W], 32 classes a word: bit c%32 of [c//32, y·W+x] is class c.

    The padding to whole words is copied only if K is not a multiple of 4.
    """
    pixels = np.ascontiguousarray(packed).reshape(-1, packed.shape[2])
    missing = -pixels.shape[1] % 4
    if missing:
        pixels = np.pad(pixels, ((0, 0), (0, missing)))
    return np.ascontiguousarray(pixels.view("<u4").T)


def _fill(packed: Packed, index: int, ring: Ring) -> None:
    """Add one ring to its class, drawn on a canvas as large as the part of the ring's box that lies in the image."""
    ring_left, ring_top, width, height = cv2.boundingRect(ring)
    left, right = max(ring_left, 0), min(ring_left + width, packed.shape[1])
    top, bottom = max(ring_top, 0), min(ring_top + height, packed.shape[0])
    if left >= right or top >= bottom:
        return
    canvas = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(canvas, [ring], 1 << index % 8, offset=(-left, -top))
    packed[top:bottom, left:right, index // 8] |= canvas


def _tally(a: Packed, b: Packed, classes: int) -> Ints:
    """Count the pixels of each class in a, in b, and in both, int64[3, C]."""
    groups = [count_bits(of_a, of_b) for of_a, of_b in zip(to_words(a), to_words(b), strict=True)]
    return np.concatenate(groups, axis=1)[:, :classes]


@kernel
def count_bits(a: Words, b: Words) -> Ints:
    """Count how often each bit is set in a, in b, and in both, int64[3, 32].

    Neighbouring pixels mostly have the same bits, so the bits are examined once per stretch of equal words.
    """
    counts = np.zeros((3, 32), np.int64)
    end = 0
    while end < a.size:
        start, of_a, of_b = end, a[end], b[end]
        while end < a.size and a[end] == of_a and b[end] == of_b:
            end += 1
        if of_a | of_b:
            for bit in range(32):
                in_a, in_b = (of_a >> bit) & 1, (of_b >> bit) & 1
                counts[0, bit] += in_a * (end - start)
                counts[1, bit] += in_b * (end - start)
                counts[2, bit] += (in_a & in_b) * (end - start)
    return counts
