"""Run-length encoding: convert between packed masks, runs and the contest's text; area, overlap and Dice of runs.

A mask's runs are int64[R, 2]: (start, length) in the row-major flattened image, starts from 0, in order, disjoint.
A run may continue over the end of a row. The text has the same numbers with starts from 1: `start length start …`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from data.masks.packed import bytes_of, to_words
from utils.arrays import Bytes, Ints, Packed, Size, Words
from utils.system.jit import kernel

Runs: TypeAlias = Ints
"""int64[R, 2]."""
Masks: TypeAlias = tuple[Runs, Ints]
"""Several masks: all their runs, and bounds int64[N + 1]: mask i has runs[bounds[i] : bounds[i + 1]]."""

_BLOCK = 64
_LIKELY_CHANGES = 1 << 16  # A hand of 29 bones at 2048 px has some 13,000.
_LARGEST_NUMBER = 1 << 40  # No image has so many pixels, and sums of two such numbers cannot overflow.
_LONGEST_NUMBER = 20  # Digits of any int64, and the space after them.

# The faults that `_parse` reports, by its second return value.
_FAULTS = (
    "is not a positive whole number",
    "is a start without a length",
    "is out of order or overlaps the run before",
)


def encode(packed: Packed, classes: int) -> list[Runs]:
    """Return the runs of each class of a packed mask, in one pass over its pixels."""
    return [runs for group in to_words(packed) for runs in _encode_words(group)][:classes]


def decode(runs_of_classes: Sequence[Runs], size_hw: Size) -> Packed:
    """Return the packed mask of the runs of each class: the inverse of `encode`.

    Raises `ValueError` for a run that leaves the image.
    """
    pixels = np.zeros((size_hw[0] * size_hw[1], bytes_of(len(runs_of_classes))), np.uint8)
    for index, runs in enumerate(runs_of_classes):
        if end_of(runs) > len(pixels):
            raise ValueError(f"a run ends at pixel {end_of(runs)}, but {size_hw} has only {len(pixels)}")
        _paint(pixels[:, index // 8], runs, np.uint8(1 << index % 8))
    return pixels.reshape(*size_hw, -1)


def to_text(runs: Runs) -> str:
    """Return `start length start length …` with starts from 1; the empty text for the empty mask."""
    text = np.empty(2 * len(runs) * _LONGEST_NUMBER, np.uint8)
    return text[: _print(np.ascontiguousarray(runs), text)].tobytes().decode("ascii")


def from_text(text: str | bytes) -> Runs:
    """Parse `start length start length …`: the inverse of `to_text`.

    Runs that touch are accepted, and spaces may be repeated. Raises `ValueError` that names the wrong number: it is not
    a positive whole number, a start without a length, or a start before the end of the previous run.
    """
    content = text.encode() if isinstance(text, str) else text
    characters = np.frombuffer(content, np.uint8)
    runs = np.empty((len(characters) // 4 + 1, 2), np.int64)  # A run takes at least four: "1 1 ".
    count, fault = _parse(characters, runs)
    if fault >= 0:
        raise ValueError(_parse_error(content, count, fault))
    found: Runs = runs[: count // 2].copy()
    return found


def parse_cells(text: Bytes, cells: Ints) -> Masks:
    """Parse N cells of one text, as `from_text` does. `cells` is int64[N, 2]: the first byte, and the first one after.

    If a cell is malformed, only the masks before it are returned.
    """
    room = int((cells[:, 1] - cells[:, 0]).sum()) // 4 + len(cells) + 1
    runs, bounds = np.empty((room, 2), np.int64), np.zeros(len(cells) + 1, np.int64)
    read = _parse_cells(text, cells, runs, bounds)
    return runs[: bounds[read]], bounds[: read + 1]


def joined(runs_of_classes: Sequence[Runs]) -> Masks:
    """Return the masks of an image's classes as one array of runs and its bounds."""
    lengths = [len(runs) for runs in runs_of_classes]
    return np.concatenate(runs_of_classes), np.cumsum([0, *lengths], dtype=np.int64)


def texts_of(runs: Runs, bounds: Ints) -> list[str]:
    """Return the text of each of several masks, as `to_text` does."""
    text, ends = np.empty(2 * len(runs) * _LONGEST_NUMBER, np.uint8), np.zeros(len(bounds), np.int64)
    _print_pieces(runs, bounds, text, ends)
    printed = text[: ends[-1]].tobytes().decode("ascii")
    return [printed[begin:end] for begin, end in pairwise(ends.tolist())]


def area(runs: Runs) -> int:
    """Return the number of pixels of a mask."""
    return int(runs[:, 1].sum())


def end_of(runs: Runs) -> int:
    """Return the first pixel after the last run; 0 for the empty mask."""
    return int(runs[-1, 0] + runs[-1, 1]) if len(runs) else 0


def end_of_all(runs: Runs, bounds: Ints) -> int:
    """Return the first pixel after the last run of several masks."""
    return max(map(end_of, (runs[begin:end] for begin, end in pairwise(bounds.tolist()))))


def intersection(a: Runs, b: Runs) -> int:
    """Return the number of pixels that two masks share."""
    return int(_intersection(a, b))


def common_px(a: Masks, b: Masks) -> int:
    """Return how many pixels the masks of an image have in common, summed over its classes."""
    return int(_common_px(*a, *b))


def dice(a: Runs, b: Runs) -> float:
    """Return the Dice of two masks, 0..1; two empty masks score 1."""
    total = area(a) + area(b)
    return 2 * intersection(a, b) / total if total else 1.0


def _parse_error(text: bytes, count: int, fault: int) -> str:
    """Say which number is wrong, and how."""
    from utils.config.messages import shown

    number = [word for word in text.split(b" ") if word][count].decode(errors="replace")
    fits = not number.isdigit() or len(number.lstrip("0")) <= len(str(_LARGEST_NUMBER))
    reason = _FAULTS[fault] if fits else "is larger than any image"
    return f"number {count + 1} of the rle, {shown(number)}, {reason}"


def _encode_words(pixels: Words) -> list[Runs]:
    """Return the runs of the 32 classes of one group of words, uint32[H·W]."""
    places, bits = np.empty(_LIKELY_CHANGES, np.int64), np.empty(_LIKELY_CHANGES, np.uint8)
    count = _changes(pixels, places, bits)
    if count > len(places):  # more changes than expected: repeat with room for all
        places, bits = np.empty(count, np.int64), np.empty(count, np.uint8)
        _changes(pixels, places, bits)
    places, bits = places[:count], bits[:count]
    # Sort the changes by class; within a class they stay in the order of the image.
    by_bit = np.argsort(bits, kind="stable")
    ends_of_bits = np.cumsum(np.bincount(bits, minlength=32))
    return [_runs_between(part) for part in np.split(places[by_bit], ends_of_bits[:-1])]


def _runs_between(changes: Ints) -> Runs:
    """Return the runs of one class's changes, which are in turn the first pixel of a run and the first after it."""
    pairs = changes.reshape(-1, 2)
    return np.column_stack((pairs[:, 0], pairs[:, 1] - pairs[:, 0]))


@kernel
def _changes(pixels: Words, places: Ints, bits: Bytes) -> int:
    """Write the pixel and the bit of each change along the image, and of the end of the last run; return their number.

    Only as many are written as there is room, so that the caller can repeat the call with room for all. Blocks whose
    pixels all equal the pixel before them are skipped; nearly all blocks do, and comparing is as fast as reading.
    """
    count = 0
    before = np.uint32(0)
    for start in range(0, pixels.size, _BLOCK):
        block = pixels[start : start + _BLOCK]
        if _all_are(block, before):
            continue
        for place in range(block.size):
            if block[place] != before:
                count = _note(start + place, block[place] ^ before, places, bits, count)
                before = block[place]
    return _note(pixels.size, before, places, bits, count)


@kernel
def _all_are(block: Words, word: np.uint32) -> bool:
    """Return whether all pixels of a block equal `word`. Without a branch per pixel, which is faster."""
    differences = np.uint32(0)
    for place in range(block.size):
        differences |= block[place] ^ word
    return bool(differences == 0)


@kernel
def _note(place: int, changed: np.uint32, places: Ints, bits: Bytes, count: int) -> int:
    """Append `place` for each bit that changed there; return the new count."""
    for bit in range(32):
        if (changed >> bit) & 1:
            if count < places.size:
                places[count], bits[count] = place, bit
            count += 1
    return count


@kernel
def _paint(pixels: Bytes, runs: Ints, bit: np.uint8) -> None:
    """Set a bit along the runs of one class."""
    for row in range(runs.shape[0]):
        for place in range(runs[row, 0], runs[row, 0] + runs[row, 1]):
            pixels[place] |= bit


@kernel
def _print(runs: Ints, text: Bytes) -> int:
    """Write runs as decimal numbers with spaces between, starts from 1; return the number of characters."""
    end = 0
    for row in range(runs.shape[0]):
        for column in range(2):
            number = runs[row, column] + 1 - column
            # Count the digits, then write them from the last to the first.
            digits, rest = 1, number // 10
            while rest:
                digits, rest = digits + 1, rest // 10
            for place in range(end + digits - 1, end - 1, -1):
                text[place], number = 48 + number % 10, number // 10
            text[end + digits] = 32
            end += digits + 1
    return max(0, end - 1)


@kernel
def _common_px(runs_a: Ints, bounds_a: Ints, runs_b: Ints, bounds_b: Ints) -> int:
    total = 0
    for index in range(len(bounds_a) - 1):
        one, other = runs_a[bounds_a[index] : bounds_a[index + 1]], runs_b[bounds_b[index] : bounds_b[index + 1]]
        total += _intersection(one, other)
    return total


@kernel
def _intersection(a: Ints, b: Ints) -> int:
    """Count shared pixels by going through both lists of runs; each time, the run that ends first is passed."""
    shared, row_a, row_b = 0, 0, 0
    while row_a < a.shape[0] and row_b < b.shape[0]:
        end_a, end_b = a[row_a, 0] + a[row_a, 1], b[row_b, 0] + b[row_b, 1]
        shared += max(0, min(end_a, end_b) - max(a[row_a, 0], b[row_b, 0]))
        if end_a < end_b:
            row_a += 1
        else:
            row_b += 1
    return shared


@kernel
def _print_pieces(
    runs: Ints,
    bounds: Ints,
    text: Bytes,
    ends: Ints,
) -> None:
    """Write all masks as `_print` does, without anything between them; `ends[i]` is the end of the first i masks."""
    for piece in range(len(bounds) - 1):
        ends[piece + 1] = ends[piece] + _print(runs[bounds[piece] : bounds[piece + 1]], text[ends[piece] :])


@kernel
def _parse_cells(
    text: Bytes,
    cells: Ints,
    runs: Ints,
    ends: Ints,
) -> int:
    """Read all cells into `runs`, which must have room; `ends[i]` is the first run after those of the first i cells.

    Return how many cells were read before the first malformed one.
    """
    for cell in range(len(cells)):
        numbers, fault = _parse(text[cells[cell, 0] : cells[cell, 1]], runs[ends[cell] :])
        if fault >= 0:
            return cell
        ends[cell + 1] = ends[cell] + numbers // 2
    return len(cells)


@kernel
def _parse(text: Bytes, runs: Ints) -> tuple[int, int]:
    """Read space-separated numbers into runs; return how many were read and which of `_FAULTS` came next, or -1."""
    count, end, place = 0, 0, 0  # numbers read, end of the last run, position in the text
    while True:
        while place < text.size and text[place] == 32:
            place += 1
        if place == text.size:
            return (count - 1, 1) if count % 2 else (count, -1)
        # The next number, in ASCII: digits are 48 to 57, a space is 32.
        number = 0
        while place < text.size and 48 <= text[place] <= 57 and number < _LARGEST_NUMBER:
            number = 10 * number + text[place] - 48
            place += 1
        if number < 1 or number >= _LARGEST_NUMBER or (place < text.size and text[place] != 32):
            return count, 0
        if count % 2:
            runs[count // 2, 1] = number
            end += number
        elif number <= end:
            return count, 2
        else:
            runs[count // 2, 0] = number - 1
            end = number - 1
        count += 1
