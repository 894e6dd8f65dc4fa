"""The contest's folders: which images there are, as sorted samples, or one error that names every misfit.

A split folder holds `DCM/<patient>/<image>.png` and, if it is labelled, `outputs_json/<patient>/<image>.json`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.files import (
    IMAGE_SUFFIXES,
    Found,
    LeftOut,
    LeftOutKind,
    SplitFiles,
    files_below,
    name_left_out,
    refuse_unreadable,
)
from data.sample import Sample, keys_excluded
from utils.errors import UserError
from utils.text import composed, list_names

IMAGES, LABELS = "DCM", "outputs_json"
GROUP = "patient"
_SHOWN = 20
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f,\"\ud800-\udfff]")
"""What a cell of the submission cannot hold: its separators, and bytes that are no UTF-8."""
_SAME_NAME = "another file has the same name but for capitals"
_TOO_DEEP = "deeper than the patient's folder"


@dataclass(frozen=True)
class Listing:
    """The files of one kind in a folder by key (`ID001/image1.png`, also for labels), and the others."""

    files: Mapping[str, Path]
    left_out: Sequence[LeftOut]


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the samples of `<root>/train` or `<root>/test`, sorted by (patient, name).

    `exclude` names patients (`ID073`), images (`image1.png` or `image1`) or keys (`ID073/image1.png`) to leave out,
    before anything is checked. Files that are neither images nor labels are named in the log. Raises `UserError` for a
    folder that is missing, empty or cannot be read, for labelled images outside patients' folders, for unpaired files,
    all at once, for image names that occur twice or that a submission cannot hold, and for exclusions that match
    nothing or everything.
    """
    folder = split_dir / IMAGES
    images = _list_readable(folder, ".png", exclude)
    if labelled:
        _refuse_flat(folder, images.files)
    labels = _list_readable(split_dir / LABELS, ".json", exclude).files if labelled else {}
    left_out = keys_excluded({*images.files, *labels}, exclude, GROUP)
    kept = {key: path for key, path in images.files.items() if key not in left_out}
    labels = {key: path for key, path in labels.items() if key not in left_out}
    if left_out and not kept:
        raise UserError(f"data.exclude: leaves none of the images of {split_dir}. Exclude fewer.")
    if labelled and kept:
        _refuse_unpaired(split_dir, kept, labels)
    return _samples(folder, Listing(kept, images.left_out), labels)


def find_images(folder: Path) -> list[Sample]:
    """List the images of a folder such as `<root>/test/DCM` (patients' folders inside), or one image, without labels.

    Images that lie in `folder` itself belong to a patient of the folder's name. Other files are named in the log.
    Raises `UserError` as `find_samples`.
    """
    if folder.is_file():
        return _one_image(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder.absolute()}: no such folder. {_split_nearby(folder)}Name one that holds images, or patients' "
            "folders of images, or one image, with --images, such as datasets/test/DCM."
        )
    return _samples(folder, _list_readable(folder, ".png"), {})


def _one_image(file: Path) -> list[Sample]:
    if file.suffix.lower() != ".png":
        raise UserError(f"{file}: is not a PNG file, and only PNG images are read. Convert it, or name another.")
    key = composed(f"{file.absolute().parent.name}/{file.stem}.png")
    return _samples(file.parent, Listing({key: file}, ()), {})


def list_files(split_dir: Path) -> SplitFiles:
    """List all files of a split folder for a check: those that `find_samples` takes, and every other one."""
    images, labels = list_folder(split_dir / IMAGES, ".png"), list_folder(split_dir / LABELS, ".json")
    return SplitFiles(images.files, labels.files, [*images.left_out, *labels.left_out])


def label_name(key: str) -> str:
    """Return where the label of an image lies in its split folder: `outputs_json/ID001/image1.json`."""
    return f"{LABELS}/{key.removesuffix('.png')}.json"


def list_folder(folder: Path, suffix: str) -> Listing:
    """List the files with this suffix, in capitals or not, of `folder` and of its patients' folders, and the others.

    Of two files with one key the first in the alphabet is taken. A folder that is missing has no files.
    """
    files: dict[str, Path] = {}
    left_out: list[LeftOut] = []
    for entry in files_below(folder) if folder.is_dir() else ():
        if isinstance(entry, LeftOut):
            left_out.append(entry)
            continue
        # The folder's name is that of its absolute path: of `.` it would be empty.
        key = composed(f"{Path(os.path.abspath(entry.path.parent)).name}/{entry.path.stem}.png")
        reason = _why_not_used(entry, suffix, is_taken=key in files)
        if reason is None:
            files[key] = entry.path
        else:
            left_out.append(reason)
    return Listing(files, left_out)


def _why_not_used(entry: Found, suffix: str, *, is_taken: bool) -> LeftOut | None:
    """Return why a file is neither image nor label; None if it is one."""
    own, path = entry.path.suffix.lower(), entry.path
    if own != suffix:
        kind: LeftOutKind = "not_read" if own in (*IMAGE_SUFFIXES, ".json") else "other_file"
        return LeftOut(path, f"a {path.suffix} file" if path.suffix else "a file without a suffix", kind)
    if entry.depth > 2:
        return LeftOut(path, _TOO_DEEP)
    return LeftOut(path, _SAME_NAME) if is_taken else None


def _list_readable(folder: Path, suffix: str, exclude: Collection[str] = ()) -> Listing:
    """List a folder's files, and name in the log what is not used.

    Raises `UserError` for a folder that is missing or cannot be read, and for two files with one key.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder. {_split_nearby(folder)}A split folder holds {IMAGES}/<patient>/<image>.png "
            f"and, for training, {LABELS}/<patient>/<image>.json."
        )
    listing = list_folder(folder, suffix)
    refuse_unreadable(listing.left_out)
    doubled = next((one.path for one in listing.left_out if one.reason == _SAME_NAME), None)
    if doubled is not None:
        raise UserError(f"{doubled}: {_SAME_NAME}. Rename or remove one.")
    if listing.files:
        name_left_out(folder, listing.left_out, exclude)
    return listing


def fits_csv(name: str) -> bool:
    """Whether a submission's cell can hold the name: no comma, quote or control character, nothing but UTF-8."""
    return not _NOT_IN_A_NAME.search(name)


def _split_nearby(folder: Path) -> str:
    """The split folders above or below the place where one was expected, as a question."""
    expected, name = folder.parent, folder.name
    candidates = [expected.parent, *sorted(_folders_in(expected))]
    splits = [str(place) for place in candidates if (place / name).is_dir()]
    return f"Did you mean {' or '.join(splits[:3])}? " if splits else ""


def _folders_in(folder: Path) -> list[Path]:
    """List the folders in a folder; none if it cannot be read."""
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _refuse_flat(folder: Path, images: Mapping[str, Path]) -> None:
    """Raise `UserError` for images without a patient: both hands of one must stay on the same side of a split."""
    flat = sorted(path.name for path in images.values() if path.parent == folder)
    if flat:
        raise UserError(
            f"{folder}: {flat[0]} lies in no patient's folder ({len(flat)} such files). "
            f"Move each image to {IMAGES}/<patient>/ and its label to {LABELS}/<patient>/."
        )


def _refuse_unpaired(split_dir: Path, images: Mapping[str, Path], labels: Mapping[str, Path]) -> None:
    """Name every image without a label and every label without an image, in one error."""
    without_label = sorted(images.keys() - labels.keys())
    without_image = sorted(labels.keys() - images.keys())
    if not without_label and not without_image:
        return
    faults = [f"{len(images)} images but {len(labels)} label files"]
    if without_label:
        faults.append(f"no label for {list_names(without_label, _SHOWN)}")
    if without_image:
        faults.append(f"no image for {list_names(without_image, _SHOWN)}")
    raise UserError(f"{split_dir}: {'; '.join(faults)}. Add the missing files or list them in data.exclude.")


def _samples(folder: Path, images: Listing, labels: Mapping[str, Path]) -> list[Sample]:
    files = images.files.items()
    samples = [Sample(key.split("/")[1], key.split("/")[0], path, labels.get(key)) for key, path in files]
    if not samples:
        raise UserError(f"{folder}: no PNG image in it or in its patients' folders. {_where_images_are(images)}")
    unfit = sorted(ascii(str(sample.image)) for sample in samples if not fits_csv(sample.name))
    if unfit:
        raise UserError(
            f"{folder}: names with a comma, a quote or a control character, which no CSV can hold: "
            f"{list_names(unfit, _SHOWN)}. Rename the files."
        )
    names = Counter(sample.name for sample in samples)
    twice = sorted(sample.key for sample in samples if names[sample.name] > 1)
    if twice:
        raise UserError(
            f"{folder}: image names must be unique, but occur twice: {list_names(twice, _SHOWN)}. Rename them."
        )
    return sorted(samples, key=lambda sample: (sample.group, sample.name))


def _where_images_are(listing: Listing) -> str:
    """The way out if no image was found: they lie deeper, or are of another kind."""
    deeper = [one.path for one in listing.left_out if one.reason == _TOO_DEEP]
    if deeper:
        return f"{len(deeper)} lie deeper, such as {deeper[0]}; name the folder above their patients' folders."
    others = [one.path for one in listing.left_out if one.path.suffix.lower() in IMAGE_SUFFIXES]
    if others:
        return f"There are {len(others)} files such as {others[0].name}; convert them to 8-bit grey PNG."
    return "Put the images there, or name another folder."
