"""The contest's CSV: `image_name,class,rle`, one row per image and class, read with doubt.

Readers join on (image_name, class), never on position. `data.submission_writer` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from data.image import Size
from data.rle import Runs, end_of, from_cells, from_text
from utils.errors import UserError
from utils.jit import kernel
from utils.names import did_you_mean
from utils.overlap import overlapped

HEADER = "image_name,class,rle"
MUCH_EARLIER = 0.6
"""Share of another mask's end. Half the side gives 0.25; a hand without wrist and forearm ends at 0.68."""

_SHOWN = 5
_BLOCK = 256
_QUOTED = re.compile(rb'(?<![^,\r\n])"([^",\r\n]*)"(?![^,\r\n])')
"""A cell in quotes. Some programs quote every one; none of a submission needs it, for it holds no comma or line end."""

Row: TypeAlias = tuple[int, int, int, int]
"""Where a row of the file begins, has its two commas, and ends."""


@dataclass(frozen=True)
class Submission:
    """A submission in memory: for each image, in the file's order, the runs of each class, in class order."""

    path: Path
    classes: tuple[str, ...]
    runs: Mapping[str, tuple[Runs, ...]]

    @property
    def names(self) -> list[str]:
        """The images' names, `.png` included."""
        return list(self.runs)

    def of(self, name: str, size_hw: Size) -> tuple[Runs, ...]:
        """The runs of an image of that size; a `UserError` if it is not in the file or its runs leave the image."""
        if name not in self.runs:
            raise UserError(f"{self.path}: no rows for image '{name}'. {did_you_mean(name, self.runs)}")
        for label, runs in zip(self.classes, self.runs[name], strict=True):
            if end_of(runs) > size_hw[0] * size_hw[1]:
                raise UserError(
                    f"{self.path}: {name}, {label}: a run ends at pixel {end_of(runs)}, outside the image of "
                    f"{size_hw[0]} x {size_hw[1]} px. Predict at the image's own size."
                )
        return self.runs[name]


def read_submission(path: Path, classes: Sequence[str]) -> Submission:
    """Read a submission whose rows may stand in any order; a missing rle is an empty mask.

    Raises `UserError` with file and row (the header is row 1) for a wrong header, a malformed row, an unknown class, a
    row given twice, and images that lack classes.
    """
    content = _content(path)
    text = np.frombuffer(content, np.uint8)
    rows = _rows(path, content, text)
    places_of_image = _places(path, content, rows, classes)
    runs = _runs(path, content, text, rows)
    _refuse_missing(path, places_of_image, classes)
    return Submission(
        path,
        tuple(classes),
        {name: tuple([runs[place] for place in places]) for name, places in places_of_image.items()},
    )


def read_submissions(paths: Sequence[Path], classes: Sequence[str]) -> list[Submission]:
    """Read several, two at a time."""
    return list(overlapped(lambda path: read_submission(path, classes), paths))


def refuse_other_images(submissions: Sequence[Submission]) -> None:
    """Files that are held against each other must speak of the same images, in whatever order."""
    images = dict.fromkeys(name for submission in submissions for name in submission.names)
    for submission in submissions:
        missing = [name for name in images if name not in submission.runs]
        if missing:
            listed = f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"
            holder = next(other.path for other in submissions if missing[0] in other.runs)
            raise UserError(
                f"{submission.path}: {len(missing)} of {len(images)} images have no rows, {listed}; {holder} has them. "
                "Name files that predict the same images."
            )


def ends_of(submission: Submission) -> dict[str, int]:
    """The first pixel after all masks of each image."""
    return {name: max(map(end_of, runs)) for name, runs in submission.runs.items()}


def seem_of_another_frame(ends: Iterable[int], others: Iterable[int]) -> bool:
    """Whether in every image the masks end far above the other ones, as runs of a smaller frame do."""
    return all(0 < end < other * MUCH_EARLIER for end, other in zip(ends, others, strict=True))


def _rows(path: Path, content: bytes, text: npt.NDArray[np.uint8]) -> dict[int, Row]:
    """The rows after the header by their number, blank ones left out; all are of the form `HEADER`."""
    found = np.empty((content.count(b"\n") + content.count(b"\r") + 1, 5), np.int64)
    lines = found[: _find_lines(text, found)].tolist()
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
    """The file as UTF-8 without byte order mark and quotes around cells; ASCII is known as such without decoding."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Name a CSV file, such as {path / 'submission.csv'}.")
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if not content.isascii():
            content.decode()
    except OSError as error:
        raise UserError(f"{path}: the submission cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is no UTF-8 text. Is it a CSV? Save it as UTF-8.") from error
    return _QUOTED.sub(rb"\1", content) if b'"' in content else content


def _places(path: Path, content: bytes, rows: Mapping[int, Row], classes: Sequence[str]) -> dict[str, list[int]]:
    """For each image which of `rows` is that of each class, -1 where there is none; no row is given twice."""
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
    return {name.decode(): places for name, places in found.items()}


def _runs(path: Path, content: bytes, text: npt.NDArray[np.uint8], rows: Mapping[int, Row]) -> list[Runs]:
    """The runs of each row."""
    cells = np.array([(second + 1, end) for _, _, second, end in rows.values()], np.int64)
    runs = from_cells(text, cells)
    if len(runs) < len(cells):
        begin, end = cells[len(runs)].tolist()
        try:
            from_text(content[begin:end])
        except ValueError as error:
            expected = "Expected 'start length start length …', starts from 1."
            raise _fault(path, list(rows)[len(runs)], f"{error}. {expected}") from error
    return runs


def _refuse_missing(path: Path, places_of_image: Mapping[str, Sequence[int]], classes: Sequence[str]) -> None:
    missing = [
        f"{name}, {label}"
        for name, places in places_of_image.items()
        if -1 in places
        for label, place in zip(classes, places, strict=True)
        if place < 0
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise UserError(
            f"{path}: no row for {'; '.join(missing[:_SHOWN])}{more}. Write a row for every class, empty if need be."
        )


def _fault(path: Path, number: int, message: str) -> UserError:
    return UserError(f"{path}: row {number}: {message}")


def _shown(cell: bytes) -> str:
    """A cell for a message: short, and readable whatever its bytes."""
    text = cell.decode(errors="replace")
    return text if len(text) <= 60 else f"{text[:60]}…"


@kernel
def _find_lines(text: npt.NDArray[np.uint8], lines: npt.NDArray[np.int64]) -> int:
    """Note where each line begins, has its first two commas, how many it has, and ends; returns how many lines.

    A line ends with a line feed, a carriage return, or both.
    """
    count, begin, commas = 0, 0, 0
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
def _has_separator(block: npt.NDArray[np.uint8]) -> bool:
    """Whether a comma or the end of a line is in the block, without looking where: at the memory's speed."""
    found = False
    for place in range(block.size):
        found |= (block[place] == 44) | (block[place] == 10) | (block[place] == 13)
    return found
