"""What is wrong with names and folders of files that holds for hands alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from data.check.checks import Split
from data.check.files import relative
from data.check.finding import Finding
from data.polygons.layout import IMAGES, fits_csv
from utils.text import pluralize


def check_files(root: Path, split: Split) -> Iterator[Finding]:
    """Yield names and places that training or a submission refuse, and patients without two images."""
    yield from _refused(root, split)
    yield from _not_two_hands(root, split)


def _refused(root: Path, split: Split) -> Iterator[Finding]:
    for key, path in split.images.items():
        if not fits_csv(path.name):
            found = "a comma, a quote or a control character in the name"
            yield Finding("bad_name", relative(path, root), found, exclude=split.exclusion(key))
        in_none = path.parent == split.folder / split.folders[0] and Path(key).parent.name in (IMAGES, path.parent.name)
        if split.labelled and in_none:
            yield Finding("bad_name", relative(path, root), "in no patient's folder", exclude=split.exclusion(key))


def _not_two_hands(root: Path, split: Split) -> Iterator[Finding]:
    images: dict[str, list[Path]] = defaultdict(list)
    for key, path in split.images.items():
        images[Path(key).parent.name].append(path)
    for patient, paths in images.items():
        if len(paths) != 2:
            place = paths[0].parent if paths[0].parent.name == patient else paths[0]
            yield Finding("one_hand", relative(place, root), pluralize(len(paths), "image"))
