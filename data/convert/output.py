"""Write files of labels: none is overwritten, and either all appear or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import write_text
from utils.text import list_names


def write_file(path: Path, text: str) -> None:
    """Write one new file. Raises `UserError` if there is something already, or it cannot be written."""
    refuse_existing([path])
    try:
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}). Name another place.") from error


def write_files(folder: Path, texts: Iterable[tuple[str, str]], names: Mapping[str, str]) -> None:
    """Write a text for each file name below a folder. `names`: each image → its file's name, known before any work.

    All files are written in a folder beside it and then renamed. Raises `UserError` if two images share a file, a file
    exists already, or one cannot be written.
    """
    refuse_shared(names)
    refuse_existing([folder / name for name in names.values()])
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file. Name a folder.")
    place = Path(os.path.abspath(folder))  # `.` has no name.
    unfinished = place.with_name(f".{place.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # A killed process may have left one.
    try:
        unfinished.mkdir(parents=True)
        for name, text in texts:
            write_text(unfinished / name, text)
        _move(unfinished, folder, list(names.values()))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}). Name another place.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_shared(names: Mapping[str, str]) -> None:
    """Raise `UserError` if two images would be written to one file, also on disks that ignore capitals."""
    image_of: dict[str, str] = {}
    for image, name in names.items():
        other = image_of.setdefault(name.casefold(), image)
        if other != image:
            raise UserError(f"{other} and {image}: would both be written to {name}. Rename one of the images.")


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise `UserError` that names the files that would be overwritten."""
    existing = [str(path) for path in paths if path.exists()]
    if existing:
        raise UserError(
            f"{list_names(existing)}: exists already, and nothing is overwritten. Remove it, or name another place."
        )


def _move(unfinished: Path, folder: Path, names: list[str]) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / name).rename(folder / name)
