"""Predictions as labels, in the format of a labelling tool: made of the finished CSV, beside which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.convert.convert import FORMATS, convert
from data.convert.images import ImageFolder
from data.convert.output import refuse_existing, refuse_shared
from data.convert.settings import Settings
from data.sample import Sample
from data.task import Task
from utils.errors import UserError
from utils.text import composed


def csv_of(output: Path | None, label_format: str | None) -> Path | None:
    """Return the place of the CSV: `output` itself, or with a format the CSV beside it; None for the default place."""
    if output is None or label_format is None:
        return output
    if output.suffix.lower() == ".csv":
        raise UserError(f"--output: {output} is the name of a CSV, but --format {label_format} is written to it.")
    return output.with_suffix(".csv")


@dataclass(frozen=True)
class LabelExport:
    """Where predictions are written as labels of a format, besides the CSV."""

    task: Task
    label_format: str
    path: Path
    images: Path
    """The folder of the images."""

    def refuse(self, samples: Sequence[Sample]) -> None:
        """Raise `UserError` for what would fail once all is predicted."""
        if self.task.encoding.soft:
            raise UserError(
                f"--format: labels are outlines of hard masks, and those of task '{self.task.name}' are soft. Leave it "
                "out."
            )
        names = [composed(sample.image.relative_to(self.images).as_posix()) for sample in samples]
        names_of = FORMATS[self.label_format].names_of
        if names_of is None:
            refuse_existing([self.path])
        else:
            planned = names_of(names, self.path, Settings(self.images))
            refuse_shared(planned)
            refuse_existing(self.path / name for name in planned.values())
        ImageFolder(self.images).sizes_of(names, "--format")

    def write(self, csv: Path) -> None:
        """Write the labels of a finished CSV."""
        colours = self.task.colours or ("",) * len(self.task.classes)
        classes = dict(zip(self.task.classes, colours, strict=True))
        convert(csv, "predictions", self.path, self.label_format, Settings(self.images), classes)


def label_export(task: Task, label_format: str, output: Path | None, csv: Path, images: Path) -> LabelExport:
    """Return where labels are written: to `output`, or beside the CSV. `images` is a folder of images, or one image."""
    beside = csv.with_name(f"labels_{label_format}{FORMATS[label_format].suffix}")
    return LabelExport(task, label_format, output or beside, images.parent if images.is_file() else images)
