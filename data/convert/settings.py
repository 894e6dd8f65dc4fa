"""What a conversion is told beside its formats, and the files that a folder of labels holds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.convert.images import all_below
from utils.errors import UserError
from utils.text import list_names, pluralize

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """`images`: the folder of the images, None if none is named. `skip_others`: leave out what is no region."""

    images: Path | None = None
    skip_others: bool = False


def label_files(source: Path, suffix: str = ".json") -> Iterator[tuple[Path, str]]:
    """Yield each label file below a folder, or the one that is named, with its path below it without suffix.

    Raises `UserError` if there is none, or if a folder cannot be read; logs what else is left out.
    """
    if source.is_file():
        yield source, source.stem
        return
    if not source.is_dir():
        raise UserError(f"{source.absolute()}: no such file or folder. Name what holds the labels.")
    paths = [path for path in all_below(source) if path.suffix.lower() == suffix]
    if not paths:
        raise UserError(f"{source.absolute()}: no {suffix} file in it. Name the folder of labels.")
    for path in paths:
        yield path, path.relative_to(source).with_suffix("").as_posix()


@dataclass
class Others:
    """Counts shapes that mark no region, such as boxes, with the first file that has one."""

    skip: bool
    counts: Counter[str]
    first: str = ""

    def add(self, kind: str, where: str) -> None:
        """Note a shape of this kind."""
        self.first = self.first or where
        self.counts[kind] += 1

    def refuse(self, source: Path) -> None:
        """Log what is left out; without `skip` raise `UserError` that counts it."""
        if not self.counts:
            return
        listed = list_names([f"{number} {kind}" for kind, number in self.counts.most_common()])
        shapes = pluralize(self.counts.total(), "shape")
        said = f"{source}: {shapes} that mark no region ({listed}), the first in {self.first}"
        if not self.skip:
            raise UserError(f"{said}. Draw outlines in their place, or leave them out with --skip-others.")
        log.warning("%s: left out", said)
