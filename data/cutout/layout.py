"""Where photographs and masks lie: two folders of any of the usual names in each split, or a list of pairs.

A sample's name is the photograph's path without suffix, in which a sub-folder is written `folder__photo`. Every
photograph is a group of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from data.cutout.pairs import (
    FOLDERS,
    Pair,
    Pairs,
    first_of_each,
    folders_in,
    images_and_others,
    images_by_name,
    name_alone,
    name_of,
    pair_folders,
)
from data.cutout.split import LIST
from data.files import IMAGE_SUFFIXES, LeftOut, SplitFiles, name_left_out
from data.sample import Sample, keys_excluded
from utils.errors import UserError
from utils.text import composed, list_names

log = logging.getLogger(__name__)

IMAGES, MASKS = FOLDERS[0]


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the photographs of a split folder, if `labelled` with their masks, sorted by name.

    Raises `UserError` if there are none, for an entry of `exclude` that names none, and for a list that is malformed.
    """
    found = samples_of_pairs(pairs_of(split_dir)) if labelled else find_images(split_dir)
    left_out = keys_excluded([sample.key for sample in found], exclude, "image")
    kept = [sample for sample in found if sample.key not in left_out]
    if not kept:
        raise UserError(f"data.exclude: leaves none of the images of {split_dir}. Exclude fewer.")
    return kept


def find_pairs(images: Path, masks: Path) -> list[Sample]:
    """List the photographs of one folder with their masks in another, sorted by name.

    Raises `UserError` if a folder is missing, or no photograph has a mask.
    """
    return samples_of_pairs(pair_folders(images, masks))


def samples_of_pairs(pairs: Pairs) -> list[Sample]:
    """Return the samples of pairs, and name in the log what has no partner."""
    name_alone(pairs)
    return samples_of([(pair.name, pair.image, pair.mask) for pair in pairs.pairs])


def find_images(folder: Path) -> list[Sample]:
    """List the photographs of a folder and its sub-folders, of a split folder, or one photograph, sorted by name.

    Of a folder that holds split folders their masks are no photographs. These and other files are named in the log.
    Raises `UserError` if there is no photograph.
    """
    if (folder / LIST).is_file():
        images = {pair.name: pair.image for pair in read_list(folder / LIST)}
    elif folder.is_file() and folder.suffix.lower() in IMAGE_SUFFIXES:
        images = {folder.stem: folder}
    else:
        named = folders_in(folder)
        place = named[0] if named else folder
        if not place.is_dir():
            raise UserError(f"{place.absolute()}: no such folder or image. Name a folder of photographs, or one.")
        images = without_masks(place, images_by_name(place))
        name_left_out(place, images_and_others(place)[1])
    if not images:
        raise UserError(f"{folder}: no photograph in it ({', '.join(IMAGE_SUFFIXES[:5])}, …). Name another folder.")
    return samples_of([(name, path, None) for name, path in images.items()])


def without_masks(folder: Path, images: Mapping[str, Path]) -> dict[str, Path]:
    """Leave out the masks of split folders that lie in a folder, and say so."""
    splits = [found for split in sorted(folder.iterdir()) if (found := folders_in(split)) is not None]
    left = {name: path for name, path in images.items() if not any(path.is_relative_to(masks) for _, masks in splits)}
    if len(left) < len(images):
        where = list_names([str(masks) for _, masks in splits])
        log.info("%s: %d masks of %s are no photographs and are left out", folder, len(images) - len(left), where)
    return left


def samples_of(files: Sequence[tuple[str, Path, Path | None]]) -> list[Sample]:
    """Return the samples of names, photographs and masks, sorted by name. Raises `UserError` if two share a name."""
    samples = [Sample(plain(name), plain(name), image, mask) for name, image, mask in files]
    _, doubled = first_of_each([(sample.name, sample.image) for sample in samples], str)
    for path, other in doubled:
        name = next(sample.name for sample in samples if sample.image == path)
        raise UserError(f"{other} and {path} would share the name {name}. Rename one of them.")
    return sorted(samples, key=lambda sample: sample.name)


def list_files(split_dir: Path) -> SplitFiles:
    """List the photographs and masks of a split folder by key, and every other file with the reason."""
    if (split_dir / LIST).is_file():
        pairs = read_list(split_dir / LIST)
        return SplitFiles({key_of(p.name): p.image for p in pairs}, {key_of(p.name): p.mask for p in pairs}, [], ())
    images, masks = folders_in(split_dir) or (split_dir / IMAGES, split_dir / MASKS)
    image_of, mask_of = list_folder(images), list_folder(masks)
    left_out = [*image_of.left_out, *mask_of.left_out]
    return SplitFiles(image_of.images, mask_of.images, left_out, (images.name, masks.name))


def list_folder(folder: Path) -> SplitFiles:
    """List the images of one folder by key, and every other file with the reason; a missing folder has none."""
    if not folder.is_dir():
        return SplitFiles({}, {}, [])
    files, others = images_and_others(folder)
    found, doubled = first_of_each(files, lambda place: key_of(name_of(place)))
    same = [LeftOut(path, f"{first.relative_to(folder)} has the same name") for path, first in doubled]
    return SplitFiles(found, {}, [*same, *others])


def image_name(key: str) -> str:
    """Return where a photograph lies in its split folder, without suffix: `images/photo`."""
    return f"{IMAGES}/{key.rpartition('/')[2].replace('__', '/')}"


def label_name(key: str) -> str:
    """Return where the mask of a photograph lies in its split folder: `masks/photo.png`."""
    return f"{MASKS}/{key.rpartition('/')[2].replace('__', '/')}.png"


def pairs_of(split_dir: Path) -> Pairs:
    """Return the pairs of a split folder, from its list or from its folders. Raises `UserError` if it has neither."""
    if (split_dir / LIST).is_file():
        return Pairs(read_list(split_dir / LIST), [], [])
    named = folders_in(split_dir)
    if named is None:
        known = "; ".join(f"{images}/ and {masks}/" for images, masks in FOLDERS)
        raise UserError(f"{split_dir.absolute()}: has no photographs with masks. Expected {known}; or a file {LIST}.")
    return pair_folders(*named)


def read_list(path: Path) -> list[Pair]:
    """Read the file that `data.cutout.split --mode list` writes. Raises `UserError` that names the wrong line.

    Without a name in its third column, an image is called as its file without suffix.
    """
    pairs, seen = [], set()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Write it again with data.cutout.split.") from error
    for number, line in enumerate(lines, 1):
        image, mask, name = (*line.split("\t"), "", "")[:3]
        if not image or not mask:
            raise UserError(f"{path}:{number}: expected an image, a tab and its mask. Correct the line.")
        name = composed(name or Path(image).stem)
        if name in seen:
            raise UserError(f"{path}:{number}: a second image called {name}. Rename one of them.")
        seen.add(name)
        pairs.append(Pair(name, path.parent / image, path.parent / mask))
    if not pairs:
        raise UserError(f"{path}: names no pair. Write it again with data.cutout.split.")
    return pairs


def plain(name: str) -> str:
    """Return a photograph's name in one part: `folder/photo` → `folder__photo`."""
    return name.replace("/", "__")


def key_of(name: str) -> str:
    """Return the key of the sample of this name."""
    return f"{plain(name)}/{plain(name)}"
