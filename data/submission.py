"""The contest's CSV: `image_name,class,rle`, one row per image and class, read with doubt.

Readers join on (image_name, class), never on position. `data.submission_writer` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.image import Size
from data.rle import Runs, end_of, from_text
from utils.errors import UserError
from utils.names import did_you_mean

HEADER = "image_name,class,rle"
_SHOWN = 5
_QUOTED = re.compile(rb'(?<![^,\r\n])"([^",\r\n]*)"(?![^,\r\n])')
"""A cell in quotes. Some programs quote every one; none of a submission needs it, for it holds no comma or line end."""


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
    index_of = {label.encode(): index for index, label in enumerate(classes)}
    found: dict[bytes, list[Runs | None]] = {}
    for number, line in _rows(path):
        name, label, text = _cells(path, number, line)
        if label not in index_of:
            raise _fault(path, number, f"'{_shown(label)}' is not a class. {did_you_mean(_shown(label), classes)}")
        runs_of_image = found.setdefault(name, [None] * len(classes))
        if runs_of_image[index_of[label]] is not None:
            raise _fault(path, number, f"a second row for {_shown(name)}, {_shown(label)}. Keep one.")
        runs_of_image[index_of[label]] = _runs(path, number, text)
    if not found:
        raise UserError(f"{path}: no rows below the header. Write a row for every image and class.")
    return Submission(path, tuple(classes), _complete(path, found, classes))


def _rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered rows after the header, blank ones left out."""
    content = _content(path)
    lines = content.splitlines()
    if not any(line.strip() for line in lines):
        raise UserError(f"{path}: the file is empty. A submission begins with '{HEADER}'.")
    if lines[0].strip() != HEADER.encode():
        index = lines[0].strip().endswith(b"," + HEADER.encode())
        way_out = "Write it without an index column (pandas: index=False)." if index else "Is it a submission?"
        raise _fault(path, 1, f"the header is '{_shown(lines[0])}', expected '{HEADER}'. {way_out}")
    if b'"' in content:
        row = len(content[: content.index(b'"') + 1].splitlines())
        raise _fault(path, row, "a quote that is not closed in its cell. Remove it.")
    return ((number, line) for number, line in enumerate(lines[1:], start=2) if line.strip())


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


def _cells(path: Path, number: int, line: bytes) -> tuple[bytes, bytes, bytes]:
    cells = line.split(b",")
    if len(cells) != 3 or not cells[0]:
        raise _fault(path, number, f"'{_shown(line)}' is not of the form {HEADER}.")
    return cells[0], cells[1], cells[2]


def _runs(path: Path, number: int, text: bytes) -> Runs:
    try:
        return from_text(text)
    except ValueError as error:
        raise _fault(path, number, f"{error}. Expected 'start length start length …', starts from 1.") from error


def _complete(
    path: Path, found: Mapping[bytes, Sequence[Runs | None]], classes: Sequence[str]
) -> dict[str, tuple[Runs, ...]]:
    """The images with all their classes, or an error that names the rows which are missing."""
    complete = {
        name.decode(): tuple(runs for runs in runs_of_image if runs is not None)
        for name, runs_of_image in found.items()
    }
    missing = [
        f"{name.decode()}, {label}"
        for name, runs_of_image in found.items()
        for label, runs in zip(classes, runs_of_image, strict=True)
        if runs is None
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise UserError(
            f"{path}: no row for {'; '.join(missing[:_SHOWN])}{more}. Write a row for every class, empty if need be."
        )
    return complete


def _fault(path: Path, number: int, message: str) -> UserError:
    return UserError(f"{path}: row {number}: {message}")


def _shown(cell: bytes) -> str:
    """A cell for a message: short, and readable whatever its bytes."""
    text = cell.decode(errors="replace")
    return text if len(text) <= 60 else f"{text[:60]}…"
