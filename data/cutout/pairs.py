"""Pair photographs with their masks: two folders whose files have the same path but for the suffix."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.files import IMAGE_SUFFIXES, LeftOut, files_below, refuse_unreadable
from utils.errors import UserError
from utils.text import composed, list_names, pluralize

log = logging.getLogger(__name__)

FOLDERS = (
    ("images", "masks"),
    ("DUTS-TR-Image", "DUTS-TR-Mask"),
    ("DUTS-TE-Image", "DUTS-TE-Mask"),
    ("imgs", "gt"),
    ("im", "gt"),
    ("original", "mask"),
)
"""Names that public data sets give the folders of images and of masks: HKU-IS `imgs` and `gt`, DIS5K `im` and `gt`,
AM-2k `original` and `mask`."""
SPLITS = (("train", "validation"), ("DUTS-TR", "DUTS-TE"), ("DIS-TR", "DIS-VD"))
"""Names that public data sets give the folders to train on and to score, as they are unpacked; the first is AM-2k's."""


@dataclass(frozen=True)
class Pair:
    """A photograph and its mask. `name` is their path without suffix, with slashes."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairs:
    """All pairs of two folders by name, and the names that only one of both has."""

    pairs: Sequence[Pair]
    images_alone: Sequence[str]
    masks_alone: Sequence[str]


def pair_folders(images: Path, masks: Path, mask_suffix: str = "") -> Pairs:
    """Pair the images of a folder with the masks of another, sub-folders included.

    A mask has the name of its image and then `mask_suffix`: with `_mask`, `a_mask.png` is that of `a.jpg`.
    Raises `UserError` if a folder is missing or cannot be read, if two files of one folder have the same path without
    suffix, and if no image has a mask.
    """
    for option, folder in (("images", images), ("masks", masks)):
        if not folder.is_dir():
            raise UserError(f"--{option} {folder.absolute()}: no such folder.")
    image_of, all_masks = images_by_name(images), images_by_name(masks)
    mask_of = {name.removesuffix(mask_suffix): path for name, path in all_masks.items() if name.endswith(mask_suffix)}
    names = sorted(image_of.keys() & mask_of.keys())
    if not names:
        raise UserError(
            f"{images}: no image has a mask in {masks}. A mask has the name of its image, such as a.jpg and a.png. "
            + _longer_name(image_of, all_masks)
        )
    return Pairs(
        [Pair(name, image_of[name], mask_of[name]) for name in names],
        sorted(image_of.keys() - mask_of.keys()),
        sorted(mask_of.keys() - image_of.keys()),
    )


def _longer_name(images: Iterable[str], masks: Iterable[str]) -> str:
    """Say how to use masks whose names are longer than those of their images; nothing if there are none."""
    for image, mask in zip(sorted(images), sorted(masks), strict=False):
        if mask.startswith(image):
            return f"For {mask} give data.cutout.split --mask-suffix={mask.removeprefix(image)}."
    return ""


def name_alone(pairs: Pairs) -> None:
    """Log which images have no mask, and which masks no image: neither is used."""
    for names, one, other in ((pairs.images_alone, "image", "mask"), (pairs.masks_alone, "mask", "image")):
        if names:
            log.warning("%s without %s, not used: %s", pluralize(len(names), one), other, list_names(names))


def folders_in(split_dir: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and of masks in a split folder, by any of the names of `FOLDERS`; None without."""
    for images, masks in FOLDERS:
        if (split_dir / images).is_dir() and (split_dir / masks).is_dir():
            return split_dir / images, split_dir / masks
    return None


def splits_in(root: Path) -> tuple[Path, Path] | None:
    """Return the folders of a public data set to train on and to score, relative to its root; None if there are none.

    A root that itself holds images and masks is trained on as a whole: nothing is known that it could be scored by.
    """
    present = [pair for pair in SPLITS if (root / pair[0]).is_dir()]
    whole = [pair for pair in present if (root / pair[1]).is_dir()]
    found = next(iter(whole), None) or next((pair for pair in present if pair[0] != "train"), None)
    if found is not None:
        return Path(found[0]), Path(found[1])
    return (Path(), Path("test")) if not present and folders_in(root) is not None else None


def images_by_name(folder: Path) -> Mapping[str, Path]:
    """List the image files of a folder by their path below it, without suffix and in the form NFC.

    Raises `UserError` if a sub-folder cannot be read, or two files have one name.
    """
    found, doubled = first_of_each(image_files(folder), name_of)
    for path, other in doubled:
        raise UserError(f"{other} and {path} have one name but for the suffix. Rename or remove one.")
    return found


def name_of(path: str) -> str:
    """Return the name of an image from its path below a folder: the path without suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def image_files(folder: Path) -> list[tuple[str, Path]]:
    """List the image files of a folder with their path below it, with slashes and in the form NFC.

    Raises `UserError` if a sub-folder cannot be read.
    """
    files, others = images_and_others(folder)
    refuse_unreadable(others)
    return files


def images_and_others(folder: Path) -> tuple[list[tuple[str, Path]], list[LeftOut]]:
    """List the image files of a folder as `image_files` does, and everything else below it with the reason."""
    files: list[tuple[str, Path]] = []
    others: list[LeftOut] = []
    for entry in files_below(folder):
        if isinstance(entry, LeftOut):
            others.append(entry)
        elif entry.path.suffix.lower() in IMAGE_SUFFIXES:
            files.append((composed(entry.path.relative_to(folder).as_posix()), entry.path))
        else:
            others.append(LeftOut(entry.path, "no image", "other_file"))
    return files, others


def first_of_each(
    files: Iterable[tuple[str, Path]], name_of: Callable[[str], str]
) -> tuple[dict[str, Path], list[tuple[Path, Path]]]:
    """Return the first file of each name, and every other file with the first one of its name."""
    found: dict[str, Path] = {}
    doubled = []
    for place, path in files:
        first = found.setdefault(name_of(place), path)
        if first != path:
            doubled.append((path, first))
    return found, doubled
