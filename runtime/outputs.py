"""Refuse places for predictions at which they would overwrite something, or be taken for images to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.files import IMAGE_SUFFIXES
from data.sample import Sample
from data.task import Output
from utils.errors import UserError
from utils.files import refuse_unwritable

NO_FOLDERS = {*IMAGE_SUFFIXES, ".csv"}
"""Suffixes of names that are meant for a file: of a picture, or of an output of another task."""


def refuse_output(output: Output, target: Path, samples: Sequence[Sample], images: Path | None) -> None:
    """Raise `UserError` unless the predictions of `samples` can be written to `target`.

    `images` is the folder or the image that they were found by, None if the task's own.
    """
    if not output.is_folder:
        if target.is_dir():
            raise UserError(f"{target}: is a folder. Name a file, such as {target / output.default_name}.")
        return
    if output.is_one_file(target):
        refuse_file(target, samples)
        refuse_unwritable([target], [sample.image for sample in samples])
        return
    refuse_folder(output, target, samples, images)


def refuse_file(target: Path, samples: Sequence[Sample]) -> None:
    """Raise `UserError` if the file `target` cannot be the prediction of these images."""
    if len(samples) > 1:
        raise UserError(f"{target}: is one file, but there are {len(samples)} images. Name a folder, or one image.")
    if target.is_dir():
        raise UserError(f"{target}: is a folder with the name of a file. Name a file in it, or another folder.")


def refuse_folder(output: Output, target: Path, samples: Sequence[Sample], images: Path | None) -> None:
    """Raise `UserError` if the folder `target` cannot hold the predictions of these images."""
    if target.is_file() or (target.suffix.lower() in NO_FOLDERS and not target.is_dir()):
        raise UserError(f"{target}: is no folder{_files_written(output, target)}.")
    refuse_among_images(target, images)
    refuse_unwritable(
        [target / f"{sample.name}{output.suffix}" for sample in samples], [sample.image for sample in samples]
    )


def _files_written(output: Output, target: Path) -> str:
    """Continue the sentence of `refuse_folder` with the files that may be named, and the way out."""
    if not output.suffixes_of_one:
        return ". Name a folder"
    written, example = " or ".join(output.suffixes_of_one), target.with_suffix(output.suffix).name
    other = target.suffix and f", not as {target.suffix}"
    way_out = f"Name a folder, or for one image a file such as {example}"
    return f", and a picture of this kind is written as {written}{other}. {way_out}"


def refuse_among_images(target: Path, images: Path | None) -> None:
    """Raise `UserError` for a folder inside that of the images: the next call would take its files for images."""
    if images is not None and images.is_dir() and target.resolve().is_relative_to(images.resolve()):
        raise UserError(
            f"{target}: lies in the folder of the images, {images}, so the next call would predict its files as well. "
            "Name a folder outside it."
        )
