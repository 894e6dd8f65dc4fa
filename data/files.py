"""Find the files of a data folder. Whatever lies in it is used, named with a reason, or refused; nothing is skipped.

Hidden files and folders (a name that begins with a dot) never count: programs leave them behind.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from utils.errors import UserError
from utils.text import list_names, pluralize

log = logging.getLogger(__name__)

DEEPEST = 6
"""Levels below a folder that are looked at; data lie two levels deep at most."""
NAMED = 20
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".dcm", ".webp", ".gif", ".heic", ".npy"),
    *(".avif", ".jp2", ".apng", ".pgm", ".ppm", ".dicom", ".ima"),
)
"""Suffixes of files that are likely to be images."""


LeftOutKind: TypeAlias = Literal["unreadable", "not_read", "other_file"]


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not used. `kind` is that of its finding in a data check.

    `unreadable`: it cannot be opened, so nobody knows what is in it. `not_read`: it looks like data. `other_file`: it
    does not.
    """

    path: Path
    reason: str
    kind: LeftOutKind = "not_read"


@dataclass(frozen=True)
class Found:
    """A file below a folder, or a link to nothing, which cannot be opened."""

    path: Path
    depth: int
    """1 for what lies in the folder itself."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of a split folder by key (`ID001/image1.png`, also for labels), and all that is left out."""

    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    left_out: Sequence[LeftOut]
    folders: tuple[str, ...] | None = None
    """The folders of images and of labels in the split folder: None for those of the layout, none if a list names the
    files."""


def files_below(folder: Path) -> Iterator[Found | LeftOut]:
    """Yield every file below a folder in the order of paths, and what cannot be looked into; links are followed.

    A folder that cannot be read is an entry of its own, so a caller that wants all or nothing can refuse it.
    """
    yield from _walk(folder, 1, ())


def _walk(folder: Path, depth: int, above: tuple[tuple[int, int], ...]) -> Iterator[Found | LeftOut]:
    try:
        about = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield LeftOut(folder, f"the folder cannot be read ({error.strerror})", "unreadable")
        return
    identity = (about.st_dev, about.st_ino)
    if identity in above:
        yield LeftOut(folder, "a link to a folder above it", "other_file")
        return
    visible = [entry for entry in entries if not entry.name.startswith(".")]
    if not visible and above:
        yield LeftOut(folder, "an empty folder", "other_file")
    for entry in visible:
        path = folder / entry.name
        if _is_folder(entry):
            if depth < DEEPEST:
                yield from _walk(path, depth + 1, (*above, identity))
            else:
                yield LeftOut(path, f"a folder {DEEPEST} levels deep", "other_file")
        elif _is_special(entry):
            yield LeftOut(path, "no regular file")
        else:
            yield Found(path, depth)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; one of which that cannot be known is a file, which then cannot be opened."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a pipe, a socket or a device, which must not be opened."""
    try:
        return not entry.is_file() and entry.stat().st_size >= 0
    except OSError:  # A link to nothing is no special file: it cannot be opened, and that is reported as of any file.
        return False


def refuse_unreadable(left_out: Sequence[LeftOut]) -> None:
    """Raise `UserError` for folders that cannot be read."""
    unreadable = [one for one in left_out if one.kind == "unreadable"]
    if unreadable:
        others = f" So are {list_names([str(one.path) for one in unreadable[1:]])}." if len(unreadable) > 1 else ""
        raise UserError(
            f"{unreadable[0].path}: {unreadable[0].reason}, so its files would be missing.{others} Give yourself "
            "access with chmod, or move it elsewhere."
        )


def name_left_out(folder: Path, left_out: Sequence[LeftOut], exclude: Collection[str] = ()) -> None:
    """Log a warning that names what is not used, except the files that `exclude` names."""
    rest = [one for one in left_out if not is_excluded(one.path, exclude)]
    if rest:
        named = list_names([f"{one.path.relative_to(folder)} ({one.reason})" for one in rest], NAMED, "; ")
        log.warning("%s: %s not used: %s", folder, f"{pluralize(len(rest), 'entry', 'entries')}", named)


def is_excluded(path: Path, exclude: Collection[str]) -> bool:
    """Whether an entry of `data.exclude` may mean this file."""
    group, stem = path.parent.name, path.stem
    return bool({group, path.name, stem, f"{stem}.png", f"{group}/{stem}", f"{group}/{stem}.png"} & {*exclude})
