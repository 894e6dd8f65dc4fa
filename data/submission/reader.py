"""Read the contest's CSV, `image_name,class,rle` with one row per image and class, with all masks in memory.

Rows are joined by (image_name, class), never by position. `data.submission.writer` writes the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from data.masks.rle import Runs, end_of
from data.submission.rows import read_rows
from utils.arrays import Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.text import list_names, printable

MUCH_EARLIER = 0.6
"""Share of another mask's end (a pixel number), below which masks are taken for those of a smaller image.

Masks written at half the side end at 0.25; a hand without wrist and forearm ends at 0.68."""


@dataclass(frozen=True)
class Submission:
    """A submission in memory. `runs`: for each image, in the file's order, the runs of each class, in class order."""

    path: Path
    classes: tuple[str, ...]
    runs: Mapping[str, tuple[Runs, ...]]

    @property
    def names(self) -> list[str]:
        """The images' names, `.png` included."""
        return list(self.runs)

    def of(self, name: str, size_hw: Size) -> tuple[Runs, ...]:
        """Return an image's runs. Raises `UserError` if it is not in the file or a run leaves an image of this size."""
        if name not in self.runs:
            raise UserError(f"{self.path}: no rows for image '{printable(name)}'. {did_you_mean(name, self.runs)}")
        for label, runs in zip(self.classes, self.runs[name], strict=True):
            if end_of(runs) > size_hw[0] * size_hw[1]:
                raise UserError(
                    f"{self.path}: {printable(name)}, {label}: a run ends at pixel {end_of(runs)}, outside the image "
                    f"of {size_hw[0]} x {size_hw[1]} px. Predict at the image's own size."
                )
        return self.runs[name]


def read_submission(path: Path, classes: Sequence[str]) -> Submission:
    """Read a submission, whose rows may be in any order; an empty rle is an empty mask.

    Raises `UserError` with file and row (the header is row 1) for a wrong header, a malformed row, an unknown class, a
    row given twice, and images that lack classes.
    """
    rows = read_rows(path, classes)
    runs, bounds = rows.all_masks()
    rows.refuse_missing()
    of_rows = [runs[begin:end] for begin, end in pairwise(bounds.tolist())]
    of_images = {name: tuple([of_rows[place] for place in places]) for name, places in rows.places.items()}
    return Submission(path, tuple(classes), of_images)


def read_submissions(paths: Sequence[Path], classes: Sequence[str]) -> list[Submission]:
    """Read several submissions, two at a time."""
    return list(map_ahead(lambda path: read_submission(path, classes), paths))


class NamesImages(Protocol):
    """A file that names images."""

    @property
    def path(self) -> Path: ...

    @property
    def names(self) -> Collection[str]: ...


def refuse_other_images(files: Sequence[NamesImages]) -> None:
    """Raise `UserError` unless files that are compared have the same images, in any order."""
    images = dict.fromkeys(name for file in files for name in file.names)
    names_of = [set(file.names) for file in files]
    for file, names in zip(files, names_of, strict=True):
        missing = [name for name in images if name not in names]
        if missing:
            holder = next(other.path for other, its in zip(files, names_of, strict=True) if missing[0] in its)
            raise UserError(
                f"{file.path}: {len(missing)} of {len(images)} images have no rows, {list_names(missing)}; {holder} "
                "has them. Name files that predict the same images."
            )


def mask_ends(submission: Submission) -> dict[str, int]:
    """Return the first pixel after all masks of each image."""
    return {name: max(map(end_of, runs)) for name, runs in submission.runs.items()}


def seem_of_another_size(ends: Iterable[int], others: Iterable[int]) -> bool:
    """Return whether in every image the masks end far above the other ones, as they do if written at a smaller size."""
    return all(0 < end < other * MUCH_EARLIER for end, other in zip(ends, others, strict=True))
