"""Read and write folds as files: `fold_<n>.csv` with the columns image_name, json_name, split (train or val) and fold.

Files of other programs load too. Images are identified by their base name, so `ID001/image1.png`,
`train/images/ID001/image1.png` and `image1.png` are the same. Only the column `split` says on which side an image is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shlex import quote

from data.sample import Sample
from utils.errors import UserError
from utils.files import paths_in, write_text
from utils.text import composed, list_names, printable

COLUMNS = ("image_name", "json_name", "split", "fold")
SIDES = {"train": "train", "val": "val", "valid": "val"}
_NAME = re.compile(r"fold_(\d{1,6})\.csv")


@dataclass(frozen=True)
class Row:
    """One image of a fold's file, its names cut to `ID001/image1.png` or `image1.png`."""

    line: int
    image: str
    label: str
    side: str

    @property
    def name(self) -> str:
        """The image's base name."""
        return self.image.rpartition("/")[2]


def write_fold_files(folder: Path, samples: Sequence[Sample], fold_of: Mapping[str, int], folds: int) -> None:
    """Write `fold_0.csv` … from each group's fold. Raises `UserError` if the folder holds other folds already.

    Files never change: a run that holds out a file's images would otherwise train on them after a resume.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file. Name a folder with --out.")
    texts = {folder / f"fold_{fold}.csv": fold_text(samples, fold_of, fold) for fold in range(folds)}
    for path in [*paths_in(folder, "fold_*.csv"), *texts]:
        if path.exists() and (path not in texts or path.read_bytes() != texts[path].encode()):
            raise UserError(
                f"{path}: is a file of other folds, on which runs may depend. Name another folder with --out, or "
                "delete it."
            )
    for path, text in texts.items():
        write_text(path, text)


def fold_text(samples: Sequence[Sample], fold_of: Mapping[str, int], fold: int) -> str:
    """Return the text of one fold's file: every image, in the order of `samples`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sample in samples:
        side = "val" if fold_of[sample.group] == fold else "train"
        writer.writerow((sample.key, _label_key(sample), side, fold))
    return text.getvalue()


def _label_key(sample: Sample) -> str:
    """Return the name of a sample's label, `ID001/image1.json`; its suffix in small letters."""
    suffix = ".json" if sample.label is None else sample.label.suffix.lower()
    return f"{PurePosixPath(sample.key).with_suffix('')}{suffix}"


def fold_numbers(folder: Path) -> tuple[int, ...]:
    """Return the n of each `fold_<n>.csv` in a folder, in order. Raises `UserError` if there is none, or one twice."""
    if not folder.is_dir():
        raise UserError(
            f"data.fold_files={folder.absolute()}: no such folder. Make it with python -m data.folds --root ROOT "
            f"--out {quote(str(folder))}, ROOT being that of data.root."
        )
    found = sorted(int(match[1]) for path in paths_in(folder, "*") if (match := _NAME.fullmatch(path.name)))
    if not found:
        raise UserError(
            f"data.fold_files={folder}: holds no fold_<n>.csv. Make them with python -m data.folds --root ROOT --out "
            f"{folder}, ROOT being that of data.root."
        )
    if len(set(found)) < len(found):
        raise UserError(f"data.fold_files={folder}: two files have the same number. Remove one.")
    return tuple(found)


def split_by_file(
    samples: Sequence[Sample], folder: Path, fold: int, left_out: Collection[str] = (), *, noun: str = "group"
) -> tuple[list[Sample], list[Sample]]:
    """Return the (training, validation) samples of a folder's `fold_<n>.csv`, each in the order of `samples`.

    `left_out` names excluded images, whose rows are ignored. `noun` is the task's word for a group of images. Raises
    `UserError` for a missing fold, a malformed file, images that are unknown, doubled or missing, and a group on both
    sides.
    """
    # Rows and samples must name the same images.
    path = _path_of(folder, fold)
    rows = {row.name: row for row in read_rows(path) if row.name not in left_out}
    refuse_other_images(path, rows, {sample.name: sample for sample in samples})
    train, valid = ([sample for sample in samples if rows[sample.name].side == side] for side in ("train", "val"))
    # No group may be on both sides, and neither side empty.
    both = sorted({sample.group for sample in train} & {sample.group for sample in valid})
    if both:
        raise UserError(
            f"{path}: {list_names(both)} in both train and val, so the score would be of {noun}s that were trained "
            f"on. Keep each {noun} on one side."
        )
    if not train or not valid:
        raise UserError(f"{path}: no image in {'val' if train else 'train'}. A fold needs images on both sides.")
    return train, valid


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a fold's file. Raises `UserError` for missing columns, malformed rows and repeated images."""
    lines: dict[str, int] = {}  # image name → line, to find repeated ones
    for line, cells in _cells(path):
        side = SIDES.get(cells["split"].strip().lower())
        if side is None:
            raise UserError(f"{path}:{line}: split is '{printable(cells['split'])}', expected train or val.")
        row = Row(line, _short_name(cells["image_name"]), _short_name(cells["json_name"]), side)
        if not row.name:
            raise UserError(f"{path}:{line}: image_name is empty. Name an image, such as ID001/image1.png.")
        if row.label and PurePosixPath(row.label).stem != PurePosixPath(row.image).stem:
            raise UserError(
                f"{path}:{line}: {printable(row.label)} is not the label of {printable(row.image)}. Correct the row."
            )
        if row.name in lines:
            raise UserError(
                f"{path}:{line}: {printable(row.image)} occurs twice, on lines {lines[row.name]} and {line}. Keep one."
            )
        lines[row.name] = line
        yield row


def refuse_other_images(path: Path, rows: Mapping[str, Row], samples: Mapping[str, Sample]) -> None:
    """Raise `UserError` unless every row names an image of the data and every image has a row."""
    unknown = [row.image for row in rows.values() if not _is_of(row, samples.get(row.name))]
    if unknown:
        raise UserError(
            f"{path}: {len(unknown)} images are not in the data, {list_names(unknown)}. Was it written for other data? "
            "Write new ones with python -m data.folds."
        )
    missing = [sample.key for sample in samples.values() if sample.name not in rows]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} images of the data are in no row, {list_names(missing)}. Add them, or leave them "
            "out with data.exclude."
        )


def _is_of(row: Row, sample: Sample | None) -> bool:
    return sample is not None and row.image in (sample.name, sample.key)


def _path_of(folder: Path, fold: int) -> Path:
    """Return the file of a fold; its name may have leading zeros, such as `fold_01.csv`."""
    numbers = fold_numbers(folder)
    if fold not in numbers:
        raise UserError(f"fold: {folder} has no fold_{fold}.csv. There are {', '.join(map(str, numbers))}.")
    return next(
        path for path in paths_in(folder, "*") if (match := _NAME.fullmatch(path.name)) and int(match[1]) == fold
    )


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the last line and the cells by column of each row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise UserError(
                f"{path}: lacks the column {', '.join(missing)}. The first line must be {','.join(COLUMNS)}."
            )
        for cells in reader:
            if None in cells or None in cells.values():
                raise UserError(f"{path}:{reader.line_num}: has not as many cells as the first line. Correct the row.")
            yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error}). Write it anew with python -m data.folds.") from error


def _short_name(name: str) -> str:
    """Return the last two parts of a path: `ID001/image1.png` for `…/images/ID001/image1.png`."""
    return "/".join(PurePosixPath(composed(name).strip().replace("\\", "/")).parts[-2:])
