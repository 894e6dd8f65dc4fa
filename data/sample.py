"""One image to learn from or to predict, and the names by which samples are excluded."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.files import IMAGE_SUFFIXES
from utils.config.suggestions import nearest
from utils.errors import UserError
from utils.text import composed


@dataclass(frozen=True)
class Sample:
    """An image file, and the file of its label if it has one."""

    name: str
    """The image's base name, such as `image1661130828152_R.png`; unique in its folder: outputs are joined on it."""
    group: str
    """What the image shares with those that must stay on its side of a split, such as one person: `ID001`."""
    image: Path
    label: Path | None = None
    source: int = 0
    """Where it comes from: 0 for `data.root`, n for the nth of `data.extra_roots`."""

    @property
    def key(self) -> str:
        """`ID001/image1661130828152_R.png`: how messages and exclusions name the sample."""
        return f"{self.group}/{self.name}"

    @property
    def stamp(self) -> str:
        """A line that changes if the image file changes: the key, its size in bytes and its time."""
        about = self.image.stat()
        return f"{self.key} {about.st_size} {about.st_mtime_ns}"


def group_in(pattern: str, stem: str) -> str | None:
    """Return what a pattern with one group captures at the beginning of an image's name; None if it does not match."""
    match = re.match(pattern, stem)
    return None if match is None else match[1] or None


def checked_pattern(pattern: str) -> str:
    """Return a pattern of `data.group_pattern`, composed (NFC) as names are.

    Raises `ValueError` unless it is one with exactly one group.
    """
    pattern = composed(pattern)
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"expected a regular expression, got '{pattern}': {error}") from error
    if groups != 1:
        raise ValueError(
            f"expected one pair of brackets, around the part of a name that says the group, such as (P\\d+)_, got "
            f"{groups} in '{pattern}'; write (?:…) for brackets that only hold together"
        )
    return pattern


def keys_excluded(keys: Collection[str], exclude: Collection[str], group_noun: str = "group") -> set[str]:
    """Return the keys that the entries of `exclude` name. Raises `UserError` for an entry that names none.

    `group_noun` is the task's word for a group of images, for the sentence.
    """
    exclude = [composed(entry) for entry in exclude]
    keys_of: dict[str, set[str]] = {}
    for key in keys:
        group, name = key.split("/")
        stem = name.rpartition(".")[0] or name
        for alias in (group, name, stem, key, f"{group}/{stem}"):
            keys_of.setdefault(alias, set()).add(key)
    exclude = [_without_suffix(entry) if entry not in keys_of else entry for entry in exclude]
    unknown = [entry for entry in exclude if entry not in keys_of]
    if unknown:
        near = nearest(unknown[0], sorted(keys_of)) if len(unknown) == 1 else []
        way_out = f"Did you mean '{near[0]}'?" if near else "Remove what this edition of the data does not have."
        raise UserError(f"data.exclude: no {group_noun} and no image is called {', '.join(unknown)}. {way_out}")
    return {key for entry in exclude for key in keys_of[entry]}


def _without_suffix(entry: str) -> str:
    """Return the name of an image without the suffix that its file has; a key always ends in another one."""
    stem, dot, suffix = entry.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else entry


def names_in(options: Sequence[str]) -> list[str]:
    """The entries of a program's `--exclude` options, which may be lists in brackets as data.exclude has them."""
    return [
        name for option in options for name in re.split(r"[\s,\[\]]+", option.removeprefix("data.exclude=")) if name
    ]
