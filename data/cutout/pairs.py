"""Pair photographs with their masks: two folders whose files have the same path but for the suffix."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.files import IMAGE_SUFFIXES, Found, LeftOut, files_below, refuse_unreadable
from utils.errors import UserError
from utils.text import list_names, pluralize

log = logging.getLogger(__name__)

FOLDERS = (
    ("images", "masks"),
    ("DUTS-TR-Image", "DUTS-TR-Mask"),
    ("DUTS-TE-Image", "DUTS-TE-Mask"),
    ("imgs", "gt"),
    ("im", "gt"),
)
"""Names that public data sets give the folders of images and of masks; DIS5K has `im` and `gt`."""


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


def pair_folders(images: Path, masks: Path) -> Pairs:
    """Pair the images of a folder with the masks of another, sub-folders included.

    Raises `UserError` if a folder is missing or cannot be read, if two files of one folder have the same path without
    suffix, and if no image has a mask.
    """
    for option, folder in (("images", images), ("masks", masks)):
        if not folder.is_dir():
            raise UserError(f"--{option} {folder.absolute()}: no such folder.")
    image_of, mask_of = images_by_name(images), images_by_name(masks)
    names = sorted(image_of.keys() & mask_of.keys())
    if not names:
        raise UserError(
            f"{images}: no image has a mask in {masks}. A mask has the name of its image, such as a.jpg and a.png."
        )
    return Pairs(
        [Pair(name, image_of[name], mask_of[name]) for name in names],
        sorted(image_of.keys() - mask_of.keys()),
        sorted(mask_of.keys() - image_of.keys()),
    )


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


def images_by_name(folder: Path) -> Mapping[str, Path]:
    """List the image files of a folder by their path below it, without suffix and in the form NFC.

    Raises `UserError` if a sub-folder cannot be read, or two files have one name.
    """
    found: dict[str, Path] = {}
    for name, path in image_files(folder):
        other = found.setdefault(str(PurePosixPath(name).with_suffix("")), path)
        if other != path:
            raise UserError(f"{other} and {path} have one name but for the suffix. Rename or remove one.")
    return found


def image_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the image files of a folder with their path below it, with slashes and in the form NFC.

    Raises `UserError` if a sub-folder cannot be read.
    """
    entries = list(files_below(folder))
    refuse_unreadable([entry for entry in entries if isinstance(entry, LeftOut)])
    for entry in entries:
        if isinstance(entry, Found) and entry.path.suffix.lower() in IMAGE_SUFFIXES:
            yield unicodedata.normalize("NFC", entry.path.relative_to(folder).as_posix()), entry.path
