"""The contest's folders: which images there are, as sorted samples, or one error that names every misfit.

A split folder holds `DCM/<patient>/<image>.png` and, if it is labelled, `outputs_json/<patient>/<image>.json`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from data.sample import Sample, keys_excluded
from utils.errors import UserError

IMAGES, LABELS = "DCM", "outputs_json"
_SHOWN = 20
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f,\"\ud800-\udfff]")
"""What a cell of the submission cannot hold: its separators, and bytes that are no UTF-8."""


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the samples of `<root>/train` or `<root>/test`, sorted by (patient, name).

    `exclude` names patients (`ID073`), images (`image1.png` or `image1`) or keys (`ID073/image1.png`) to leave out,
    before anything is checked. Raises `UserError` for a missing or empty folder, for labelled images outside patients'
    folders, for unpaired files, all at once, for image names that occur twice or that a submission cannot hold, and for
    exclusions that match nothing or everything.
    """
    images = files_by_key(split_dir / IMAGES, ".png")
    if labelled:
        _refuse_flat(split_dir / IMAGES)
    labels = files_by_key(split_dir / LABELS, ".json") if labelled else {}
    left_out = keys_excluded({*images, *labels}, exclude)
    images = {key: path for key, path in images.items() if key not in left_out}
    labels = {key: path for key, path in labels.items() if key not in left_out}
    if left_out and not images:
        raise UserError(f"data.exclude: leaves none of the images of {split_dir}. Exclude fewer.")
    if labelled and images:
        _refuse_unpaired(split_dir, images, labels)
    return _samples(split_dir / IMAGES, images, labels)


def find_images(folder: Path) -> list[Sample]:
    """List the images of a folder such as `<root>/test/DCM` (patients' folders inside), without labels.

    Images that lie in `folder` itself belong to a patient of the folder's name. Raises `UserError` as `find_samples`.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder. {_split_nearby(folder)}Name one that holds images, or patients' folders of "
            "images, with --images, such as datasets/test/DCM."
        )
    return _samples(folder, files_by_key(folder, ".png"), {})


def files_by_key(folder: Path, suffix: str) -> dict[str, Path]:
    """The folder's `<patient>/<file>`s by key (`ID001/image1.png`, also for labels); hidden files do not count."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder. {_split_nearby(folder)}A split folder holds {IMAGES}/<patient>/<image>.png "
            f"and, for training, {LABELS}/<patient>/<image>.json."
        )
    found: dict[str, Path] = {}
    for key, path in keyed_files(folder, suffix):
        if key in found:
            raise UserError(f"{path}: {found[key]} has the same name but for capitals. Rename or remove one.")
        found[key] = path
    return found


def keyed_files(folder: Path, suffix: str) -> Iterator[tuple[str, Path]]:
    """The files of `folder` and of its patients' folders, each with its key, which two of them may share."""
    for path in (*_files(folder, "*", suffix), *_files(folder, "*/*", suffix)):
        yield f"{path.parent.name}/{path.stem}.png", path


def fits_csv(name: str) -> bool:
    """Whether a submission's cell can hold the name: no comma, quote or control character, nothing but UTF-8."""
    return not _NOT_IN_A_NAME.search(name)


def _files(folder: Path, pattern: str, suffix: str) -> list[Path]:
    """The files with this suffix, in capitals or not; hidden ones do not count."""
    return [
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    ]


def _split_nearby(folder: Path) -> str:
    """The split folders above or below the place where one was expected, as a question."""
    expected, name = folder.parent, folder.name
    candidates = [expected.parent, *sorted(expected.glob("*/"))]
    splits = [str(place) for place in candidates if (place / name).is_dir()]
    return f"Did you mean {' or '.join(splits[:3])}? " if splits else ""


def _refuse_flat(folder: Path) -> None:
    """Labelled images belong to patients, for both hands of one stay on the same side of a split."""
    flat = _files(folder, "*", ".png")
    if flat:
        raise UserError(
            f"{folder}: {flat[0].name} lies in no patient's folder ({len(flat)} such files). "
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
        faults.append(f"no label for {_listed(without_label)}")
    if without_image:
        faults.append(f"no image for {_listed(without_image)}")
    raise UserError(f"{split_dir}: {'; '.join(faults)}. Add the missing files or list them in data.exclude.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _samples(folder: Path, images: Mapping[str, Path], labels: Mapping[str, Path]) -> list[Sample]:
    samples = [Sample(f"{path.stem}.png", path.parent.name, path, labels.get(key)) for key, path in images.items()]
    if not samples:
        raise UserError(f"{folder}: no PNG image in it or in its patients' folders. {_where_images_are(folder)}")
    unfit = sorted(ascii(str(sample.image)) for sample in samples if not fits_csv(sample.name))
    if unfit:
        raise UserError(
            f"{folder}: names with a comma, a quote or a control character, which no CSV can hold: {_listed(unfit)}. "
            "Rename the files."
        )
    names = Counter(sample.name for sample in samples)
    twice = sorted(sample.key for sample in samples if names[sample.name] > 1)
    if twice:
        raise UserError(f"{folder}: image names must be unique, but occur twice: {_listed(twice)}. Rename them.")
    return sorted(samples, key=lambda sample: (sample.group, sample.name))


def _where_images_are(folder: Path) -> str:
    """The way out where no image was found: they lie deeper, or are of another kind."""
    deeper = [*_files(folder, "*/*/*", ".png"), *_files(folder, "*/*/*/*", ".png")]
    if deeper:
        return f"{len(deeper)} lie deeper, such as {deeper[0]}; name the folder above their patients' folders."
    others = [path for kind in (".jpg", ".jpeg", ".dcm", ".tif", ".bmp") for path in _files(folder, "**/*", kind)]
    if others:
        return f"There are {len(others)} files such as {others[0].name}; convert them to 8-bit grey PNG."
    return "Put the images there, or name another folder."
