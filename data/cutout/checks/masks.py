"""Check single masks: their size, channels and values, and whether they are inverted, empty or full."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data.check.checks import LabelFacts, fault_of
from data.check.finding import Finding
from data.cutout.mask_file import fault_of_channels
from data.image import JPEG_SIGNATURE, read_bytes, read_grey
from utils.arrays import HALF_ALPHA, Bytes, Image, Size
from utils.errors import UserError

BORDER_FULL, CORNERS_FULL, MIDDLE_EMPTIER = 0.75, 3, 1.5
"""An inverted mask covers so much of the border and so many corners, and leaves out so many times more of the whole."""
SOFT = 0.002
"""Share of pixels that are neither 0 nor 255 from which on a mask counts as soft."""


def look_at_mask(path: Path, file: str, exclude: str | None, size_hw: Size | None, _small: Image | None) -> LabelFacts:
    """Read one mask; `size_hw` is its photograph's as it is shown, None if that could not be read."""
    try:
        content, grey_HW = read_bytes(path), read_grey(path)
    except UserError as error:
        return LabelFacts(file, exclude, (Finding("bad_label", file, fault_of(error, path), exclude=exclude),))
    found = [
        *wrong_size(grey_HW, size_hw),
        *(("mask_channels", f"it {fault}") for fault in filter(None, [fault_of_channels(path)])),
        *wrong_values(content, grey_HW),
        *wrong_shape(grey_HW),
    ]
    faults = tuple(Finding(kind, file, text, exclude=exclude) for kind, text in found)
    digest = hashlib.blake2b(grey_HW.tobytes(), digest_size=16).digest()
    is_plain = grey_HW.min() == grey_HW.max()
    return LabelFacts(file, exclude, faults, b"" if is_plain else digest, None if is_plain else is_soft(grey_HW))


def wrong_size(grey_HW: Bytes, size_hw: Size | None) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a mask's size."""
    if size_hw is None or grey_HW.shape == size_hw:
        return
    turned = "; it looks turned, as if the camera's EXIF orientation was applied to one of both" * (
        grey_HW.shape == size_hw[::-1]
    )
    yield "mask_size", f"{_wide_by_high(grey_HW.shape)}, its photograph {_wide_by_high(size_hw)}{turned}"


def wrong_values(content: bytes, grey_HW: Bytes) -> Iterator[tuple[str, str]]:
    """Yield what is odd about a mask's values."""
    brightest = int(grey_HW.max())
    if brightest == 1:
        yield "binary_mask", "values 0 and 1, read as 0 and 255"
    elif 1 < brightest < HALF_ALPHA:
        yield "dark_mask", f"its brightest value is {brightest}, so no pixel counts as object"
    if content.startswith(JPEG_SIGNATURE):
        share = float(((grey_HW > 0) & (grey_HW < 255)).mean())
        yield "lossy_mask", f"a JPEG file; {share:.1%} of its pixels are neither 0 nor 255"
    elif brightest >= HALF_ALPHA and has_ringing(grey_HW):
        yield "lossy_mask", "values near 0 and 255 in whole blocks of 8 x 8 px along its edges"


def wrong_shape(grey_HW: Bytes) -> Iterator[tuple[str, str]]:
    """Yield a mask that is empty, full or inverted."""
    object_HW = (grey_HW == 1) if grey_HW.max() == 1 else (grey_HW >= HALF_ALPHA)
    if not grey_HW.any():
        yield "empty_mask", "every pixel is 0"
    elif object_HW.all():
        yield "full_mask", "every pixel belongs to the object"
    elif is_inverted(object_HW):
        yield "inverted_mask", f"{object_HW.mean():.0%} of it are object, and nearly all of its border"


def is_inverted(object_HW: np.ndarray) -> bool:
    """Whether what a mask bool[H, W] leaves out lies inside, and what it covers around it.

    A subject that fills its photograph leaves out parts of the border instead.
    """
    border = np.concatenate([object_HW[0], object_HW[-1], object_HW[1:-1, 0], object_HW[1:-1, -1]])
    corners = sum(bool(object_HW[row, column]) for row in (0, -1) for column in (0, -1))
    left_out, left_out_at_border = 1 - object_HW.mean(), 1 - border.mean()
    return bool(
        border.mean() >= BORDER_FULL
        and corners >= CORNERS_FULL
        and left_out > 0.005
        and left_out > MIDDLE_EMPTIER * left_out_at_border
    )


def has_ringing(grey_HW: Bytes) -> bool:
    """Whether a mask was a JPEG once: what is neither 0 nor 255 fills whole blocks of its 8 px grid, mostly faintly."""
    height, width = (side // 8 * 8 for side in grey_HW.shape)
    between_HW = (grey_HW > 0) & (grey_HW < 255)
    faint_HW = between_HW & ((grey_HW < 32) | (grey_HW > 223))
    if height < 24 or width < 24 or faint_HW.sum() < 3 * (between_HW & ~faint_HW).sum() or not between_HW.any():
        return False
    aligned = _blocks(between_HW[:height, :width])
    shifted = _blocks(between_HW[4 : height - 4, 4 : width - 4])
    return bool(aligned.any() and shifted.sum() > 1.25 * aligned.sum())


def _blocks(mask_HW: np.ndarray) -> np.ndarray:
    """Return which blocks of 8 x 8 px hold anything."""
    height, width = mask_HW.shape
    return np.asarray(mask_HW.reshape(height // 8, 8, width // 8, 8).any(axis=(1, 3)))


def is_soft(grey_HW: Bytes) -> bool:
    """Whether a mask has values between 0 and 255."""
    return bool(grey_HW.max() > 1 and ((grey_HW > 0) & (grey_HW < 255)).mean() > SOFT)


def compare_masks(facts: Sequence[LabelFacts]) -> tuple[list[Finding], list[str]]:
    """Return one finding if a few masks of a set are hard and the others soft, or the other way round."""
    soft = [fact for fact in facts if fact.measured is True and not fact.faults]
    hard = [fact for fact in facts if fact.measured is False and not fact.faults]
    fewer, kind = min((soft, "soft edges"), (hard, "only the values 0 and 255"), key=lambda pair: len(pair[0]))
    if not fewer:
        return [], []
    found = f"{len(fewer)} of {len(soft) + len(hard)} masks have {kind}, unlike the others; this is the first"
    return [Finding("mixed_masks", fewer[0].file, found)], []


def _wide_by_high(size_hw: tuple[int, ...]) -> str:
    return f"{size_hw[1]} x {size_hw[0]} px"
