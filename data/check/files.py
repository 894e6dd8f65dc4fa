"""Find the files of a data set's splits, and what is wrong with their names and folders, before any is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.check.checks import Split
from data.check.finding import Finding
from data.files import LeftOut, is_excluded
from data.sample import keys_excluded
from data.task import Layout, Task
from utils.errors import UserError


def open_splits(task: Task, root: Path, exclude: Collection[str] = ()) -> tuple[list[Split], list[LeftOut]]:
    """Return the splits that exist, without excluded images, and the files that belong to none.

    Raises `UserError` if `root` is not the folder that holds the splits, or an exclusion matches nothing.
    """
    layout = task.layout
    listings = {folder: layout.list_files(root / folder) for folder in _splits_in(root, layout)}
    splits = [
        Split(
            name=str(folder),
            folder=root / folder,
            images=listing.images,
            labels=listing.labels,
            labelled=bool(listing.labels) or root / folder == layout.labelled_in(root),
            is_trained_on=root / folder == layout.labelled_in(root),
            folders=layout.folders if listing.folders is None else listing.folders,
        )
        for folder, listing in listings.items()
    ]
    left_out = keys_excluded({key for split in splits for key in (*split.images, *split.labels)}, exclude, layout.group)
    return [_without(split, left_out) for split in splits], [one for its in listings.values() for one in its.left_out]


def count_files(task: Task, root: Path) -> dict[str, Any]:
    """Count the images and labels of each split, and name the folders that belong into `root`; nothing is checked."""
    layout = task.layout
    labelled, scored = (str(folder.relative_to(root)) for folder in (layout.labelled_in(root), layout.scored_in(root)))
    splits = {folder: layout.list_files(root / folder) for folder in (labelled, scored)}
    counts = {name: {"images": len(its.images), "labels": len(its.labels)} for name, its in splits.items()}
    return {"labelled": labelled, "described": layout.described, "splits": counts}


def file_findings(
    task: Task, root: Path, splits: Sequence[Split], left_out: Sequence[LeftOut], exclude: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield everything that is wrong with names and folders of files."""
    for split in splits:
        yield from _missing_folders(task.layout.group, root, split)
        yield from _unpaired(task.layout, root, split)
        yield from _doubled(root, split)
        yield from task.checks.of_files(root, split)
    if task.layout.names_identify:
        yield from _in_two_splits(root, splits)
    for one in left_out:
        if not is_excluded(one.path, exclude):
            yield Finding(one.kind, relative(one.path, root), one.reason)


def _splits_in(root: Path, layout: Layout) -> list[Path]:
    """Return the folders of the splits that exist, the one to train on first."""
    holds = f"{layout.labelled}/ and {layout.scored}/"
    if not root.exists():
        raise UserError(f"{root.absolute()}: no such folder. Name the folder that holds {holds}.")
    if not root.is_dir():
        raise UserError(f"{root}: a file, not a folder. Name the folder that holds {holds}.")
    found = [folder for folder in (layout.labelled_in(root), layout.scored_in(root)) if folder.is_dir()]
    if found:
        return [folder.relative_to(root) for folder in found]
    for folder in (root, root.parent):
        if any((folder / part).is_dir() for part in layout.folders):
            above = folder.resolve().parent
            raise UserError(f"{root}: this is one split, or a part of it. Name the folder above: {above}")
    raise UserError(
        f"{root}: neither {layout.labelled}/ nor {layout.scored}/ in it. Put the data there, or name the folder that "
        "holds them."
    )


def _without(split: Split, left_out: Collection[str]) -> Split:
    images = {key: path for key, path in sorted(split.images.items()) if key not in left_out}
    labels = {key: path for key, path in sorted(split.labels.items()) if key not in left_out}
    return replace(split, images=images, labels=labels)


def _missing_folders(group: str, root: Path, split: Split) -> Iterator[Finding]:
    for place, part in enumerate(split.folders if split.labelled else split.folders[:1]):
        folder = split.folder / part
        if not folder.is_dir():
            yield Finding("missing_folder", relative(folder, root), "there is no such folder")
        elif place == 0 and not split.images:
            yield Finding("missing_folder", relative(folder, root), f"no image in it or in its {group}s' folders")


def _unpaired(layout: Layout, root: Path, split: Split) -> Iterator[Finding]:
    if not (split.images and split.labels):
        return
    for key in sorted(split.images.keys() - split.labels.keys()):
        place = _partner(split, 1, split.images[key], Path(layout.label_name(key)).suffix)
        found = f"no label {place}" + _elsewhere(key, split.labels, root)
        yield Finding("unpaired", relative(split.images[key], root), found, exclude=split.exclusion(key))
    for key in sorted(split.labels.keys() - split.images.keys()):
        place = _partner(split, 0, split.labels[key], "" if layout.image_name else ".png")
        found = f"no image {place}" + _elsewhere(key, split.images, root)
        yield Finding("unpaired", relative(split.labels[key], root), found, exclude=split.exclusion(key))


def _partner(split: Split, part: int, path: Path, suffix: str) -> str:
    """Return where the label (1) of an image or the image (0) of a label is expected, below the split folder."""
    inside = path.relative_to(split.folder / split.folders[1 - part])
    return (Path(split.folders[part]) / inside.with_suffix(suffix)).as_posix()


def _elsewhere(key: str, files: Mapping[str, Path], root: Path) -> str:
    """Return a hint if a file of that name lies in another folder; otherwise the empty text."""
    name = Path(key).name
    found = [relative(path, root) for other, path in files.items() if Path(other).name == name]
    return f", but there is {found[0]}" if found else ""


def _doubled(root: Path, split: Split) -> Iterator[Finding]:
    places: dict[str, list[str]] = defaultdict(list)
    for key in split.images:
        places[Path(key).name].append(key)
    for name, keys in places.items():
        for key in keys[1:]:
            found = f"{name} is also an image of {Path(keys[0]).parent}"
            yield Finding("doubled_name", relative(split.images[key], root), found, exclude=split.exclusion(key))


def _in_two_splits(root: Path, splits: Sequence[Split]) -> Iterator[Finding]:
    """Yield the groups of images that are in both splits."""
    if len(splits) < 2:
        return
    split_folders = [split.folder / folder for split in splits for folder in split.folders[:1]]
    one, other = ({Path(key).parent.name: path for key, path in split.images.items()} for split in splits)
    for group in sorted(one.keys() & other.keys()):
        found = f"{group} is in {splits[1].name} as well"
        if one[group].parent in split_folders and group in ("", one[group].parent.name):
            continue  # Not a group: images that lie in no folder of one.
        path = one[group].parent if one[group].parent.name == group else one[group]
        yield Finding("two_splits", relative(path, root), found, exclude=group)


def relative(path: Path, root: Path) -> str:
    """The path as messages name it: from the root on, with forward slashes; whole for what a list names elsewhere."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
