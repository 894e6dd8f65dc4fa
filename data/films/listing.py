"""Which films and labels lie in a folder and in its patients' folders, and whose films they are.

A film is called in all outputs as its file, with the suffix `.png`, whatever its format.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.files import IMAGE_SUFFIXES, Found, LeftOut, LeftOutKind, files_below
from data.films.reader import FILM_SUFFIXES, is_film
from data.sample import group_in
from utils.errors import UserError
from utils.text import composed, list_names

LABEL_SUFFIX = ".json"
TOO_DEEP = "deeper than the patient's folder"
_NAMED = 20


@dataclass(frozen=True)
class Listing:
    """Films and labels by key (`ID001/image1.png`, also for labels), and all other files."""

    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    left_out: Sequence[LeftOut]
    doubled: Sequence[tuple[Path, Path]] = ()
    """A file whose key another one has already, and this one; the first is in `left_out` too."""
    unmatched: Sequence[Path] = ()
    """Files whose names say nothing of the patient, though a pattern was given."""

    def __add__(self, other: Listing) -> Listing:
        """Return the files of both; no key is in both."""
        return Listing(
            {**self.images, **other.images},
            {**self.labels, **other.labels},
            [*self.left_out, *other.left_out],
            [*self.doubled, *other.doubled],
            [*self.unmatched, *other.unmatched],
        )


def list_folder(folder: Path, *, images: bool = True, labels: bool = True, name: str | None = None) -> Listing:
    """List the films and labels of `folder` and of its patients' folders, and the other files with the reason.

    Of two files with one key the first in the alphabet is taken. `name` is the patient of files in `folder` itself:
    the folder's own if it is None. A folder that is missing has no files.
    """
    found: tuple[dict[str, Path], dict[str, Path]] = {}, {}
    left_out: list[LeftOut] = []
    doubled: list[tuple[Path, Path]] = []
    for entry in files_below(folder) if folder.is_dir() else ():
        if isinstance(entry, LeftOut):
            left_out.append(entry)
            continue
        is_label = entry.path.suffix.lower() == LABEL_SUFFIX
        files, is_wanted = found[is_label], (labels if is_label else images and is_film(entry.path))
        first = files.setdefault(_key_of(entry, name), entry.path) if is_wanted and entry.depth <= 2 else None
        if first is None:
            left_out.append(_not_used(entry, is_wanted))
        elif first != entry.path:
            left_out.append(LeftOut(entry.path, f"{first.name} has the same name but for the suffix"))
            doubled.append((entry.path, first))
    return Listing(*found, left_out, doubled)


def _key_of(entry: Found, name: str | None) -> str:
    # The folder's name is that of its absolute path: of `.` it would be empty.
    folder = Path(os.path.abspath(entry.path.parent)).name
    return composed(f"{name if name is not None and entry.depth == 1 else folder}/{stem_of(entry.path)}.png")


def stem_of(path: Path) -> str:
    """Return the name of a file without its suffix; of a DICOM file called otherwise (`1.2.840.7`) the whole name."""
    return path.stem if path.suffix.lower() in (*FILM_SUFFIXES, LABEL_SUFFIX) else path.name


def _not_used(entry: Found, is_wanted: bool) -> LeftOut:
    """Say why a file is neither film nor label, or lies at no place of either."""
    path, suffix = entry.path, entry.path.suffix
    if is_wanted:
        return LeftOut(path, TOO_DEEP)
    kind: LeftOutKind = "not_read" if suffix.lower() in (*IMAGE_SUFFIXES, LABEL_SUFFIX) else "other_file"
    return LeftOut(path, f"a {suffix} file" if suffix else "a file without a suffix", kind)


def grouped(listing: Listing, pattern: str | None) -> Listing:
    """Name the patients by the part of the files' names that a pattern captures, not by folders; None: by folders.

    Files that do not match keep the patient that their folder says, and are `unmatched`.
    """
    if pattern is None:
        return listing
    unmatched: list[Path] = []
    left_out, doubled = list(listing.left_out), list(listing.doubled)
    renamed: list[dict[str, Path]] = []
    for files in (listing.images, listing.labels):
        renamed.append({})
        for key, path in files.items():
            group = group_in(pattern, key.partition("/")[2].removesuffix(".png"))
            if group is None:
                unmatched.append(path)
            first = renamed[-1].setdefault(key if group is None else f"{group}/{key.partition('/')[2]}", path)
            if first != path:
                doubled.append((path, first))
                left_out.append(LeftOut(path, f"{first} has the same name and patient"))
    return replace(
        listing, images=renamed[0], labels=renamed[1], left_out=left_out, doubled=doubled, unmatched=unmatched
    )


def refuse_doubled(listing: Listing) -> None:
    """Raise `UserError` for two files that would share a name."""
    for path, first in listing.doubled:
        if composed(str(path)) == composed(str(first)):
            raise UserError(
                f"{first} and {path} have names that look alike and are stored differently (composed, NFC, and "
                "decomposed, NFD, as a Mac does). Rename or remove one."
            )
        raise UserError(f"{first} and {path} have one name but for the suffix or the folder. Rename or remove one.")


def refuse_unmatched(paths: Sequence[Path], pattern: str | None) -> None:
    """Raise `UserError` for files whose names do not say the patient."""
    if paths:
        named = list_names(sorted(path.name for path in paths), _NAMED)
        raise UserError(
            f"data.group_pattern: '{pattern}' does not match {named}. Correct the pattern, rename the files, or list "
            "them in data.exclude."
        )
