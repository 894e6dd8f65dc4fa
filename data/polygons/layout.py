"""Where films and labels lie: which images there are, as sorted samples, or one error that names every misfit.

A split folder is laid out in one of two ways. As the contest has it, it holds `DCM/<patient>/<image>.png` and, if it is
labelled, `outputs_json/<patient>/<image>.json`. Otherwise it holds films with their labels beside them, `<image>.dcm`
and `<image>.json`, in patients' folders or not. Films are files of any format that `data.films.reader` reads. Whose
they are follows from the patients' folders, or from their names by `data.group_pattern`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from data.files import (
    IMAGE_SUFFIXES,
    Found,
    LeftOut,
    SplitFiles,
    files_below,
    name_left_out,
    refuse_unreadable,
)
from data.films.listing import (
    LABEL_SUFFIX,
    TOO_DEEP,
    Listing,
    grouped,
    list_folder,
    refuse_doubled,
    refuse_unmatched,
    stem_of,
)
from data.films.reader import READ, is_film
from data.sample import Sample, keys_excluded
from utils.errors import UserError
from utils.text import composed, list_names

IMAGES, LABELS = "DCM", "outputs_json"
GROUP = "patient"
_SHOWN = 20
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f,\"\ud800-\udfff]")
"""What a cell of the submission cannot hold: its separators, and bytes that are no UTF-8."""


def find_samples(
    split_dir: Path, *, labelled: bool, exclude: Collection[str] = (), group_pattern: str | None = None
) -> list[Sample]:
    """List the samples of `<root>/train` or `<root>/test`, sorted by (patient, name).

    `exclude` names patients (`ID073`), images (`image1.png` or `image1`) or keys (`ID073/image1.png`) to leave out,
    before anything is checked. `group_pattern` is `data.group_pattern`. Files that are neither films nor labels are
    named in the log. Raises `UserError` for a folder that is missing, empty or cannot be read, for labelled images
    whose patients are not known, for unpaired files, all at once, for image names that occur twice or that a
    submission cannot hold, and for exclusions that match nothing or everything.
    """
    listing = grouped(_list_split(split_dir, labelled=labelled, exclude=exclude), group_pattern)
    refuse_doubled(listing)
    left_out = keys_excluded({*listing.images, *listing.labels}, exclude, GROUP)
    kept = {key: path for key, path in listing.images.items() if key not in left_out}
    labels = {key: path for key, path in listing.labels.items() if key not in left_out}
    refuse_unmatched([path for path in listing.unmatched if path in {*kept.values(), *labels.values()}], group_pattern)
    if labelled and group_pattern is None:
        _refuse_flat(split_dir, kept)
    if left_out and not kept:
        raise UserError(f"data.exclude: leaves none of the images of {split_dir}. Exclude fewer.")
    if labelled and kept:
        _refuse_unpaired(split_dir, kept, labels)
    return _samples(_folders(split_dir)[0], replace(listing, images=kept), labels)


def find_images(folder: Path) -> list[Sample]:
    """List the films of a folder such as `<root>/test/DCM` (patients' folders inside), or one film, without labels.

    Films that lie in `folder` itself belong to a patient of the folder's name. Labels beside films are not read. Other
    files are named in the log. Raises `UserError` as `find_samples`.
    """
    if folder.is_file():
        return _one_image(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder.absolute()}: no such folder. {_split_nearby(folder)}Name one that holds images, or patients' "
            "folders of images, or one image, with --images, such as datasets/test/DCM."
        )
    listing = _beside_films(list_folder(folder))
    _refuse_or_name(folder, listing)
    refuse_doubled(listing)
    return _samples(folder, listing, {})


def _one_image(file: Path) -> list[Sample]:
    if not is_film(file):
        raise UserError(f"{file}: is not called as an image is. Expected {READ}. Convert it, or name another.")
    key = composed(f"{file.absolute().parent.name}/{stem_of(file)}.png")
    return _samples(file.parent, Listing({key: file}, {}, ()), {})


def list_files(split_dir: Path, group_pattern: str | None = None) -> SplitFiles:
    """List all files of a split folder for a check: those that `find_samples` takes, and every other one."""
    folders = _folders(split_dir, labelled=False)
    listing = grouped(_list_in(folders, split_dir), group_pattern)
    unmatched = [LeftOut(path, f"its name does not match {group_pattern}") for path in listing.unmatched]
    are_together = folders[0] == folders[1]
    return SplitFiles(
        listing.images, listing.labels, [*listing.left_out, *unmatched], (".", ".") if are_together else None
    )


def label_name(key: str) -> str:
    """Return where the label of an image lies in its split folder: `outputs_json/ID001/image1.json`."""
    return f"{LABELS}/{key.removesuffix('.png')}.json"


def _folders(split_dir: Path, *, labelled: bool = True) -> tuple[Path, Path]:
    """Return the folders of films and of labels in a split folder: both are itself if they lie beside each other."""
    usual = split_dir / IMAGES, split_dir / LABELS
    if any(folder.is_dir() for folder in usual) or not split_dir.is_dir():
        return usual
    near = [entry.path for entry in files_below(split_dir) if isinstance(entry, Found) and entry.depth <= 2]
    has_labels = any(path.suffix.lower() == LABEL_SUFFIX for path in near)
    return (split_dir, split_dir) if (has_labels or not labelled) and any(map(is_film, near)) else usual


def _list_in(folders: tuple[Path, Path], split_dir: Path, *, labelled: bool = True) -> Listing:
    """List the files of the folders of films and labels in a split folder, by patients' folders."""
    images, labels = folders
    if images == labels:
        return list_folder(split_dir) if labelled else _beside_films(list_folder(split_dir))
    films = list_folder(images, labels=False, name=IMAGES) + Listing({}, {}, [*_strays(split_dir)])
    return films + list_folder(labels, images=False, name=IMAGES) if labelled else films


def _strays(split_dir: Path) -> Iterator[LeftOut]:
    """Yield what lies beside the folders of films and labels."""
    for path in sorted(split_dir.iterdir()) if split_dir.is_dir() else ():
        if path.name not in (IMAGES, LABELS) and not path.name.startswith("."):
            is_data = path.suffix.lower() in (*IMAGE_SUFFIXES, LABEL_SUFFIX)
            yield LeftOut(path, f"neither in {IMAGES}/ nor in {LABELS}/", "not_read" if is_data else "other_file")


def _beside_films(listing: Listing) -> Listing:
    """Leave out the labels of a listing of films alone: those of films are not asked for, others are files like any."""
    alone = [
        LeftOut(path, "a label without an image") for key, path in listing.labels.items() if key not in listing.images
    ]
    doubled = [(path, first) for path, first in listing.doubled if path.suffix.lower() != LABEL_SUFFIX]
    return replace(listing, labels={}, left_out=[*listing.left_out, *alone], doubled=doubled)


def _list_split(split_dir: Path, *, labelled: bool, exclude: Collection[str]) -> Listing:
    """List the files of a split folder, and name in the log what is not used.

    Raises `UserError` for a folder that is missing or cannot be read.
    """
    folders = _folders(split_dir)
    for folder in folders[: 2 if labelled else 1]:
        if not folder.is_dir():
            raise UserError(
                f"{folder.absolute()}: no such folder. {_split_nearby(folder)}A split folder holds "
                f"{IMAGES}/<patient>/<image>.png and, for training, {LABELS}/<patient>/<image>.json; or images with "
                "their .json beside them."
            )
    listing = _list_in(folders, split_dir, labelled=labelled)
    _refuse_or_name(split_dir, listing, exclude)
    return listing


def _refuse_or_name(folder: Path, listing: Listing, exclude: Collection[str] = ()) -> None:
    """Name in the log what of a folder is not used. Raises `UserError` for what cannot be read."""
    refuse_unreadable(listing.left_out)
    if listing.images:
        doubled = {path for path, _ in listing.doubled}
        name_left_out(folder, [one for one in listing.left_out if one.path not in doubled], exclude)


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


def _refuse_flat(split_dir: Path, images: Mapping[str, Path]) -> None:
    """Raise `UserError` for images without a patient: both hands of one must stay on the same side of a split."""
    folder, labels = _folders(split_dir)
    flat = sorted(path.name for path in images.values() if path.parent == folder)
    if flat:
        place = (
            f"{IMAGES}/<patient>/ and its label to {LABELS}/<patient>/" if folder != labels else "a patient's folder"
        )
        raise UserError(
            f"{folder}: {flat[0]} lies in no patient's folder ({len(flat)} such files). Move each image to {place}, or "
            "say with data.group_pattern which part of a name is the patient: '(P\\d+)_', or '(.+)' if each image is "
            "of another."
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
    files = images.images.items()
    samples = [Sample(key.split("/")[1], key.split("/")[0], path, labels.get(key)) for key, path in files]
    if not samples:
        raise UserError(f"{folder}: no image in it or in its patients' folders. {_where_images_are(images)}")
    unfit = sorted(ascii(str(sample.image)) for sample in samples if not fits_csv(sample.name))
    if unfit:
        raise UserError(
            f"{folder}: names with a comma, a quote or a control character, which no CSV can hold: "
            f"{list_names(unfit, _SHOWN)}. Rename the files."
        )
    names = Counter(sample.name for sample in samples)
    twice = sorted(str(sample.image.relative_to(folder)) for sample in samples if names[sample.name] > 1)
    if twice:
        raise UserError(
            f"{folder}: image names must be unique, suffixes apart, but occur twice: {list_names(twice, _SHOWN)}. "
            "Rename them."
        )
    return sorted(samples, key=lambda sample: (sample.group, sample.name))


def _where_images_are(listing: Listing) -> str:
    """The way out if no image was found: they lie deeper, or are of another kind."""
    deeper = [one.path for one in listing.left_out if one.reason == TOO_DEEP and is_film(one.path)]
    if deeper:
        return f"{len(deeper)} lie deeper, such as {deeper[0]}; name the folder above their patients' folders."
    others = [one.path for one in listing.left_out if one.path.suffix.lower() in IMAGE_SUFFIXES]
    if others:
        return f"There are {len(others)} files such as {others[0].name}; convert them to {READ}."
    return "Put the images there, or name another folder."
