"""What names and numbers of files say about a set of photographs and masks, before any is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data.check.checks import Split
from data.check.files import relative
from data.check.finding import Finding
from data.cutout.layout import list_files

WHOLE = {
    **{"DUTS-TR": 10_553, "DUTS-TE": 5_019, "HKU-IS": 4_447, "PASCAL-S": 850, "SOD": 300},
    **{"DIS-TR": 3_000, "DIS-VD": 470},
}
"""Pairs that public data sets have, by the name of a folder."""


def check_files(root: Path, split: Split) -> Iterator[Finding]:
    """Yield a finding if the split is one of a public data set and has fewer pairs than that."""
    name = public_name(split)
    if name is None:
        return
    files = list_files(split.folder)  # also what is excluded
    pairs = len(files.images.keys() & files.labels.keys())
    if pairs < WHOLE[name]:
        found = f"{pairs:,} images with masks, {name} has {WHOLE[name]:,}"
        yield Finding("short_set", relative(split.folder, root), found)


def public_name(split: Split) -> str | None:
    """Return the name of the public data set that a split is, by its folder or that of its images; None if unknown.

    Example: `HKU_IS/imgs` and `train/DUTS-TR-Image` are known by `HKU_IS` and `DUTS-TR-Image`.
    """
    given = {_plain(name).removesuffix("image") for name in (*split.folders[:1], split.folder.resolve().name)}
    return next((name for name in WHOLE if _plain(name) in given), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
