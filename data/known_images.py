"""Recognise images of one data set that another one holds out or has labels for already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.sample import Sample
from data.task import Task
from utils.errors import UserError


class KnownImages:
    """Recognises images that are held out or have a label already: by name, or by bytes if names say nothing."""

    def __init__(self, task: Task, train: Sequence[Sample], valid: Sequence[Sample]) -> None:
        self.by_name = task.layout.names_identify
        self.groups = {sample.group for sample in valid}
        self.names = {sample.name for sample in [*train, *valid]}
        self.held_out, self.labelled = Contents(), Contents()
        if not self.by_name:
            self.held_out.add(valid)
            self.labelled.add(train)

    def is_held_out(self, sample: Sample) -> bool:
        """Whether an image would teach a held-out one."""
        return sample.group in self.groups if self.by_name else sample.image in self.held_out

    def is_labelled(self, sample: Sample) -> bool:
        """Whether an image is trained on with another label."""
        return sample.name in self.names if self.by_name else sample.image in self.labelled

    def add(self, samples: Sequence[Sample]) -> None:
        """Count images among those that have a label."""
        self.names |= {sample.name for sample in samples}
        if not self.by_name:
            self.labelled.add(samples)


class Contents:
    """Image files by their bytes. Only files of one size are read, because others cannot be equal."""

    def __init__(self) -> None:
        self.of_size: dict[int, list[Path]] = {}

    def add(self, samples: Sequence[Sample]) -> None:
        """Add the images of samples."""
        for sample in samples:
            self.of_size.setdefault(size_of(sample.image), []).append(sample.image)

    def __contains__(self, path: Path) -> bool:
        alike = self.of_size.get(size_of(path), [])
        return bool(alike) and any(content_of(path) == content_of(other) for other in alike)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; -1 if it cannot be opened, which the check of all images reports."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def content_of(path: Path) -> bytes:
    """Read a file. Raises `UserError` if that is not possible."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
