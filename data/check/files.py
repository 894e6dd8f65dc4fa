"""Find the files of a data set's splits, and what is wrong with their names and folders, before any is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.check.finding import Finding
from data.hand_bone.layout import IMAGES, LABELS, fits_csv, keyed_files
from data.sample import keys_excluded
from utils.errors import UserError

SPLITS = ("train", "test")

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")


@dataclass(frozen=True)
class Split:
    """The files of `train` or `test` by key (`ID001/image1.png`, also for labels), as training and inference read them.

    `labelled` says whether every image should have a label: always in train, in test if there are any labels.
    """

    name: str
    folder: Path
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    labelled: bool

    def exclusion(self, key: str) -> str | None:
        """Return an image's name in data.exclude; None outside train, because it leaves out training images only."""
        return key if self.name == "train" else None


def open_splits(root: Path, exclude: Collection[str] = ()) -> list[Split]:
    """Return the splits that exist, without excluded images.

    Raises `UserError` if `root` is not the folder that holds `train/` or `test/`, or an exclusion matches nothing.
    """
    splits = [_open(root / name, name) for name in _names_of(root)]
    left_out = keys_excluded({key for split in splits for key in (*split.images, *split.labels)}, exclude)
    return [_without(split, left_out) for split in splits]


def file_findings(root: Path, splits: Sequence[Split], exclude: Collection[str] = ()) -> Iterator[Finding]:
    """Yield everything that is wrong with names and folders of files."""
    for split in splits:
        yield from _missing_folders(root, split)
        yield from _unpaired(root, split)
        yield from _doubled(root, split)
        yield from _unfit(root, split)
        yield from _not_read(root, split, exclude)
        yield from _one_hand(root, split)
    yield from _in_two_splits(root, splits)


def _names_of(root: Path) -> list[str]:
    if not root.exists():
        raise UserError(f"{root}: no such folder. Name the folder that holds train/ and test/.")
    if not root.is_dir():
        raise UserError(f"{root}: a file, not a folder. Name the folder that holds train/ and test/.")
    names = [name for name in SPLITS if (root / name).is_dir()]
    if names:
        return names
    for folder in (root, root.parent):
        if (folder / IMAGES).is_dir() or (folder / LABELS).is_dir():
            above = folder.resolve().parent
            raise UserError(f"{root}: this is one split, or a part of it. Name the folder above: {above}")
    raise UserError(f"{root}: neither train/ nor test/ in it. Put the data there, or name the folder that holds them.")


def _open(folder: Path, name: str) -> Split:
    images, labels = _by_key(folder / IMAGES, ".png"), _by_key(folder / LABELS, ".json")
    return Split(name, folder, images, labels, labelled=bool(labels) or name == "train")


def _by_key(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the folder's files by key; of two with the same key the first in the alphabet."""
    return dict(sorted(keyed_files(folder, suffix), reverse=True))


def _without(split: Split, left_out: Collection[str]) -> Split:
    images = {key: path for key, path in sorted(split.images.items()) if key not in left_out}
    labels = {key: path for key, path in sorted(split.labels.items()) if key not in left_out}
    return Split(split.name, split.folder, images, labels, split.labelled)


def _missing_folders(root: Path, split: Split) -> Iterator[Finding]:
    for part in (IMAGES, LABELS) if split.labelled else (IMAGES,):
        folder = split.folder / part
        if not folder.is_dir():
            yield Finding("missing_folder", relative(folder, root), "there is no such folder")
        elif part == IMAGES and not split.images:
            yield Finding("missing_folder", relative(folder, root), "no PNG image in it or in its patients' folders")


def _unpaired(root: Path, split: Split) -> Iterator[Finding]:
    if not (split.images and split.labels):
        return
    for key in sorted(split.images.keys() - split.labels.keys()):
        found = f"no label {LABELS}/{key.removesuffix('.png')}.json" + _elsewhere(key, split.labels, root)
        yield Finding("unpaired", relative(split.images[key], root), found, exclude=split.exclusion(key))
    for key in sorted(split.labels.keys() - split.images.keys()):
        found = f"no image {IMAGES}/{key}" + _elsewhere(key, split.images, root)
        yield Finding("unpaired", relative(split.labels[key], root), found, exclude=split.exclusion(key))


def _elsewhere(key: str, files: Mapping[str, Path], root: Path) -> str:
    """Return a hint if a file of that name lies in another patient's folder; otherwise the empty text."""
    name = Path(key).name
    found = [relative(path, root) for other, path in files.items() if Path(other).name == name]
    return f", but there is {found[0]}" if found else ""


def _doubled(root: Path, split: Split) -> Iterator[Finding]:
    places = _grouped((Path(key).name, key) for key in split.images)
    for name, keys in places.items():
        for key in keys[1:]:
            found = f"{name} is also an image of {Path(keys[0]).parent}"
            yield Finding("doubled_name", relative(split.images[key], root), found, exclude=split.exclusion(key))


def _unfit(root: Path, split: Split) -> Iterator[Finding]:
    """Yield names and folders that training or a submission refuse."""
    for key, path in split.images.items():
        if not fits_csv(path.name):
            found = "a comma, a quote or a control character in the name"
            yield Finding("bad_name", relative(path, root), found, exclude=split.exclusion(key))
        if split.labelled and path.parent.parent != split.folder / IMAGES:
            yield Finding("bad_name", relative(path, root), "in no patient's folder", exclude=split.exclusion(key))


def _not_read(root: Path, split: Split, exclude: Collection[str]) -> Iterator[Finding]:
    """Yield files that look like images or labels but are neither read nor excluded."""
    for part, suffixes, seen in ((IMAGES, _IMAGE_SUFFIXES, split.images), (LABELS, (".json",), split.labels)):
        read = set(seen.values())
        for path in sorted((split.folder / part).rglob("*")):
            if path in read or path.suffix.lower() not in suffixes or path.name.startswith(".") or not path.is_file():
                continue
            # All the names by which `exclude` may mean this file.
            patient, stem = path.parent.name, path.stem
            if not {patient, path.name, stem, f"{stem}.png", f"{patient}/{stem}", f"{patient}/{stem}.png"} & {*exclude}:
                yield Finding("not_read", relative(path, root), _why_not_read(path, split.folder / part, suffixes[0]))


def _why_not_read(path: Path, folder: Path, suffix: str) -> str:
    if path.suffix.lower() != suffix:
        return f"a {path.suffix} file"
    if len(path.relative_to(folder).parts) > 2:
        return "deeper than the patient's folder"
    return "another file has the same name but for capitals"


def _one_hand(root: Path, split: Split) -> Iterator[Finding]:
    for keys in _grouped((Path(key).parent.name, key) for key in split.images).values():
        if len(keys) != 2:
            count = "1 image" if len(keys) == 1 else f"{len(keys)} images"
            yield Finding("one_hand", relative(split.images[keys[0]].parent, root), count)


def _in_two_splits(root: Path, splits: Sequence[Split]) -> Iterator[Finding]:
    patients = [{Path(key).parent.name for key in split.images} for split in splits]
    if len(splits) < 2:
        return
    for patient in sorted(patients[0] & patients[1]):
        folder = splits[0].folder / IMAGES / patient
        yield Finding("two_splits", relative(folder, root), f"{patient} is in test as well", exclude=patient)


def _grouped(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for group, key in pairs:
        groups[group].append(key)
    return groups


def relative(path: Path, root: Path) -> str:
    """The path as messages name it: from the root on, with forward slashes."""
    return path.relative_to(root).as_posix()
