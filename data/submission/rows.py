"""Find and check the rows of the contest's CSV, `image_name,class,rle`; parse their masks only when they are needed.

Finding the rows of a 22 MB file takes 40 ms and no memory beyond its bytes; all its masks take 30 MB more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from data.masks.rle import Masks, from_text, parse_cells
from utils.arrays import Bytes, Ints
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.system.jit import kernel
from utils.text import composed, list_names, printable

HEADER = "image_name,class,rle"
_BLOCK = 256
_QUOTED = re.compile(rb'(?<![^,\r\n])"([^",\r\n]*)"(?![^,\r\n])')
"""A cell in quotes. Some programs quote every cell; a submission needs none, as no cell has a comma or line end."""

Row: TypeAlias = tuple[int, int, int, int]
"""Byte offsets of a row: its begin, its two commas, and its end."""


@dataclass(frozen=True)
class Rows:
    """The rows of a file, joined by image and class; no row is given twice."""

    path: Path
    classes: tuple[str, ...]
    content: bytes
    rows: Mapping[int, Row]
    """The rows by number; the header is row 1."""
    places: Mapping[str, list[int]]
    """For each image, in the file's order, the index in `rows` of the row of each class; -1 if there is none."""

    @property
    def names(self) -> list[str]:
        """The images' names, `.png` included."""
        return list(self.places)

    @property
    def text(self) -> Bytes:
        """The file's bytes as an array, without a copy."""
        return np.frombuffer(self.content, np.uint8)

    def refuse_missing(self) -> None:
        """Raise a `UserError` that names missing rows, if a class of an image has none."""
        missing = [
            f"{name}, {label}"
            for name, places in self.places.items()
            if -1 in places
            for label, place in zip(self.classes, places, strict=True)
            if place < 0
        ]
        if missing:
            raise UserError(
                f"{self.path}: no row for {list_names(missing, separator='; ')}. "
                "Write a row for every class, empty if need be."
            )

    @cached_property
    def ordered(self) -> list[Row]:
        """The rows by index, from 0."""
        return list(self.rows.values())

    def masks_of(self, name: str) -> Masks:
        """Parse an image's mask of each class; none may be missing."""
        rows = [self.ordered[place] for place in self.places[name]]
        return self.masks(np.array([(second + 1, end) for _, _, second, end in rows], np.int64))

    def all_masks(self) -> Masks:
        """Parse the mask of every row."""
        return self.masks(np.array([(second + 1, end) for _, _, second, end in self.ordered], np.int64))

    def masks(self, cells: Ints) -> Masks:
        """Parse the masks in cells int64[N, 2] (begin and end in the file). Raises `UserError` for a malformed one."""
        runs, bounds = parse_cells(self.text, cells)
        if len(bounds) <= len(cells):
            raise self._fault(*cells[len(bounds) - 1].tolist())
        return runs, bounds

    def _fault(self, begin: int, end: int) -> UserError:
        """Return the error that says what is wrong with the rle in this cell."""
        number = next(number for number, row in self.rows.items() if row[3] == end)
        try:
            from_text(self.content[begin:end])
        except ValueError as error:
            return _fault(self.path, number, f"{error}. Expected 'start length start length …', starts from 1.")
        raise ValueError(f"row {number} is not malformed")


def read_rows(path: Path, classes: Sequence[str]) -> Rows:
    """Find the rows of a submission, which may be in any order.

    Raises `UserError` with file and row (the header is row 1) for a wrong header, a malformed row, an unknown class and
    a row given twice. The rle is not parsed, and missing rows are no error here.
    """
    content = _content(path)
    rows = _rows(path, content)
    return Rows(path, tuple(classes), content, rows, _places(path, content, rows, classes))


def _rows(path: Path, content: bytes) -> dict[int, Row]:
    """Return the rows after the header by number, without blank ones; all are of the form `HEADER`."""
    found = np.empty((content.count(b"\n") + content.count(b"\r") + 1, 5), np.int64)
    lines = found[: _find_lines(np.frombuffer(content, np.uint8), found)].tolist()
    _refuse_other_header(path, content, content[: lines[0][4]] if lines else b"")
    rows: dict[int, Row] = {}
    for number, (begin, first, second, commas, end) in enumerate(lines[1:], start=2):
        if commas == 2 and first > begin:
            rows[number] = (begin, first, second, end)
        elif content[begin:end].strip():
            raise _fault(path, number, f"'{_shown(content[begin:end])}' is not of the form {HEADER}.")
    if not rows:
        raise UserError(f"{path}: no rows below the header. Write a row for every image and class.")
    return rows


def _refuse_other_header(path: Path, content: bytes, header: bytes) -> None:
    if not content or content.isspace():
        raise UserError(f"{path}: the file is empty. A submission begins with '{HEADER}'.")
    if header.strip() != HEADER.encode():
        index = header.strip().endswith(b"," + HEADER.encode())
        way_out = "Write it without an index column (pandas: index=False)." if index else "Is it a submission?"
        raise _fault(path, 1, f"the header is '{_shown(header)}', expected '{HEADER}'. {way_out}")
    if b'"' in content:
        row = len(content[: content.index(b'"') + 1].splitlines())
        raise _fault(path, row, "a quote that is not closed in its cell. Remove it.")


def _content(path: Path) -> bytes:
    """Read the file as UTF-8 without byte order mark and without quotes around cells; ASCII needs no decoding."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Name a CSV file, such as {path / 'submission.csv'}.")
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if not content.isascii():
            content.decode()
    except OSError as error:
        raise UserError(
            f"{path.absolute()}: the submission cannot be read ({error.strerror}). Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is no UTF-8 text. Is it a CSV? Save it as UTF-8.") from error
    return _QUOTED.sub(rb"\1", content) if b'"' in content else content


def _places(path: Path, content: bytes, rows: Mapping[int, Row], classes: Sequence[str]) -> dict[str, list[int]]:
    """Return `Rows.places`. Raises `UserError` for an unknown class and for a row given twice."""
    index_of = {label.encode(): index for index, label in enumerate(classes)}
    found: dict[bytes, list[int]] = {}
    for place, (number, (begin, first, second, _)) in enumerate(rows.items()):
        name, index = content[begin:first], index_of.get(content[first + 1 : second])
        if index is None:
            label = _shown(content[first + 1 : second])
            raise _fault(path, number, f"'{label}' is not a class. {did_you_mean(label, classes)}")
        places = found.get(name)
        if places is None:
            places = found[name] = [-1] * len(classes)
        if places[index] >= 0:
            raise _fault(path, number, f"a second row for {_shown(name)}, {classes[index]}. Keep one.")
        places[index] = place
    named = {composed(name.decode()): places for name, places in found.items()}
    if len(named) < len(found):
        raise UserError(f"{path}: holds an image twice, its name once composed (NFC) and once not (NFD). Keep one.")
    return named


def _fault(path: Path, number: int, message: str) -> UserError:
    return UserError(f"{path}: row {number}: {message}")


def _shown(cell: bytes) -> str:
    """Return a cell as text for a message: short, and readable whatever its bytes."""
    text = printable(cell.decode(errors="replace"))
    return text if len(text) <= 60 else f"{text[:60]}…"


@kernel
def _find_lines(text: Bytes, lines: Ints) -> int:
    """Write for each line its begin, its first two commas, the number of commas and its end; return how many lines.

    A line ends with a line feed, a carriage return, or both.
    """
    count, begin, commas = 0, 0, 0
    # Bytes: 44 is a comma, 10 a line feed, 13 a carriage return. Most blocks hold digits and spaces only.
    for start in range(0, text.size, _BLOCK):
        block = text[start : start + _BLOCK]
        if not _has_separator(block):
            continue
        for place in range(start, start + block.size):
            byte = text[place]
            if byte == 44:
                if commas < 2:
                    lines[count, 1 + commas] = place
                commas += 1
            elif byte == 10 and place > 0 and text[place - 1] == 13:
                begin = place + 1
            elif byte == 10 or byte == 13:
                lines[count, 0], lines[count, 3], lines[count, 4] = begin, commas, place
                count, begin, commas = count + 1, place + 1, 0
    if begin < text.size:
        lines[count, 0], lines[count, 3], lines[count, 4] = begin, commas, text.size
        count += 1
    return count


@kernel
def _has_separator(block: Bytes) -> bool:
    """Return whether the block holds a comma or a line's end. Without a branch per byte, which is faster."""
    found = False
    for place in range(block.size):
        found |= (block[place] == 44) | (block[place] == 10) | (block[place] == 13)
    return found
