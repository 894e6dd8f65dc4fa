"""What a task checks of its own files, images and labels, beside what holds for any task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from data.check.finding import Finding, Kind
from data.sample import Sample
from utils.arrays import Image, Ring, Size, StoredMask
from utils.config.suggestions import did_you_mean_of_all, valid
from utils.errors import UserError
from utils.text import list_names, pluralize

OTHER_CLASSES = "other_classes"
"""The kind of finding of a label that is another task's."""
NAMES_SHOWN = 10
"""Class names of other tasks' labels that a sentence lists."""


class OtherClasses(UserError):
    """Labels none of whose class names belongs to the task; `names` are those they have."""

    def __init__(self, files: Sequence[Path], names: Sequence[str]) -> None:
        from utils.config.messages import shown

        more = f" and {pluralize(len(files) - 1, 'other label')}" if len(files) > 1 else ""
        found = list_names([shown(name) for name in names], NAMES_SHOWN)
        super().__init__(
            f"{files[0]}{more}: no class name is one of this task's; found: {found}. Set the key "
            "'task' to the task of these labels (task: polygons takes the names of any under data.classes), or rename "
            "their classes."
        )
        self.files, self.names = files, names


class UnknownClasses(UserError):
    """Labels that name classes which the task does not have; `names` are these, `classes` are the task's."""

    def __init__(self, files: Sequence[Path], names: Sequence[str], classes: Sequence[str]) -> None:
        from utils.config.messages import shown

        more = f" and {pluralize(len(files) - 1, 'other label')}" if len(files) > 1 else ""
        found = list_names([shown(name) for name in names], NAMES_SHOWN)
        fault = f"{found} is not a class" if len(names) == 1 else f"{found} are no classes"
        hint = did_you_mean_of_all(names[0], classes) if len(names) == 1 else valid(sorted(classes))
        super().__init__(f"{files[0]}{more}: {fault}. {hint}")
        self.files, self.names, self.classes = files, names, classes


@dataclass(frozen=True)
class Split:
    """The files of one split by key (`ID001/image1.png`, also for labels), as training and inference read them.

    `labelled` says whether every image should have a label. `is_trained_on` is true for the split to train on.
    """

    name: str
    folder: Path
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    labelled: bool
    is_trained_on: bool
    folders: tuple[str, ...]
    """Those of images and of labels in `folder`; none if a list names the files."""

    def exclusion(self, key: str) -> str | None:
        """Return an image's name in data.exclude; None for other splits, because it leaves out training images only."""
        return key if self.is_trained_on else None


@dataclass(frozen=True)
class LabelFacts:
    """What is kept of a label: its faults, a digest of its content, and what the task measured of it."""

    file: str
    exclude: str | None
    faults: tuple[Finding, ...]
    digest: bytes = b""
    """Empty if nothing could be read, or nothing is marked."""
    measured: object = None


OfFiles: TypeAlias = Callable[[Path, Split], Iterable[Finding]]
"""The data set's root and a split → findings about names and folders."""
OfLabel: TypeAlias = Callable[[Path, str, "str | None", "Size | None", "Image | None"], LabelFacts]
"""A label, its `file` and `exclude` as in `Finding`, its image's size and the shrunk image (None: unknown) → facts."""
Compare: TypeAlias = Callable[[Sequence[LabelFacts]], "tuple[list[Finding], list[str]]"]
"""All labels → findings about those that differ from the others, and remarks: sentences on what was not compared."""
Outlines: TypeAlias = Callable[[Path], "list[tuple[str, Ring]]"]
"""A label → (class name, ring) pairs for drawings; empty if it has none."""


def _nothing(*_: object) -> tuple[()]:
    return ()


def _nothing_to_compare(_: Sequence[LabelFacts]) -> tuple[list[Finding], list[str]]:
    return [], []


def _no_outlines(_: Path) -> list[tuple[str, Ring]]:
    return []


@dataclass(frozen=True)
class Checks:
    """A task's own checks. Each has a default, so a task without any is checked by what holds for all."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Kinds of findings that the task adds, and general ones in its own words."""
    of_files: OfFiles = _nothing
    of_label: OfLabel | None = None
    """None: the label is read as a mask."""
    compare: Compare = _nothing_to_compare
    outlines: Outlines = _no_outlines
    one_size: bool = False
    """Whether images of another size than most are suspicious."""
    all_classes: bool = False
    """Whether every image shows every class, so that one in which few are found is suspicious."""
    one_look: bool = False
    """Whether images come from one kind of camera, so that dark, bright or inverted ones are suspicious."""


def look_at_mask(
    read_mask: Callable[[Sample, Size], StoredMask], sample: Sample, file: str, exclude: str | None, size_hw: Size
) -> LabelFacts:
    """Read a label as a mask, for tasks without a check of their own."""
    try:
        mask = read_mask(sample, size_hw)
    except UserError as error:
        return LabelFacts(file, exclude, (Finding("bad_label", file, fault_of(error, sample.label), exclude=exclude),))
    digest = hashlib.blake2b(mask.tobytes(), digest_size=16).digest() if mask.any() else b""
    return LabelFacts(file, exclude, (), digest)


def compare_labels(facts: Sequence[LabelFacts]) -> Iterator[Finding]:
    """Yield the labels that are equal to an earlier one."""
    first: dict[bytes, LabelFacts] = {}
    for fact in facts:
        original = first.setdefault(fact.digest, fact)
        if fact.digest and original is not fact:
            yield Finding("same_label", fact.file, f"the same outlines as {original.file}", exclude=fact.exclude)


def fault_of(error: UserError, path: Path | None, label: str | None = None) -> str:
    """Return an error's sentence without the file, the class and the remedies, which the finding has already."""
    fault, *more = str(error).removeprefix(f"{path}: ").removeprefix(f"{label}: ").split(". ")
    guess = [sentence.split("?")[0] + "?" for sentence in more if sentence.startswith("Did you mean")]
    return ". ".join([fault.removesuffix("."), *guess])
