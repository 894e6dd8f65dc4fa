"""Where photographs and masks lie: two folders of any of the usual names in each split, or a list of pairs.

A sample's name is the photograph's path without suffix, in which a sub-folder is written `folder__photo`. Every
photograph is a group of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from data.cutout.pairs import FOLDERS, Pair, Pairs, folders_in, images_by_name, name_alone, pair_folders
from data.cutout.split import LIST
from data.files import IMAGE_SUFFIXES, Found, LeftOut, SplitFiles, files_below, name_left_out, refuse_unreadable
from data.sample import Sample, keys_excluded
from utils.errors import UserError

IMAGES, MASKS = FOLDERS[0]


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the photographs of a split folder, if `labelled` with their masks, sorted by name.

    Raises `UserError` if there are none, for an entry of `exclude` that names none, and for a list that is malformed.
    """
    if not labelled:
        found = find_images(split_dir)
    else:
        pairs = pairs_of(split_dir)
        name_alone(pairs)
        found = [Sample(plain(pair.name), plain(pair.name), pair.image, pair.mask) for pair in pairs.pairs]
    left_out = keys_excluded([sample.key for sample in found], exclude, "image")
    kept = [sample for sample in found if sample.key not in left_out]
    if not kept:
        raise UserError(f"data.exclude: leaves none of the images of {split_dir}. Exclude fewer.")
    return sorted(kept, key=lambda sample: (sample.group, sample.name))


def find_images(folder: Path) -> list[Sample]:
    """List the photographs of a folder and its sub-folders, of a split folder, or one photograph, sorted by name.

    Other files are named in the log. Raises `UserError` if there is no photograph.
    """
    if (folder / LIST).is_file():
        images = {pair.name: pair.image for pair in read_list(folder / LIST)}
    else:
        named = folders_in(folder)
        place = named[0] if named else folder
        if not place.is_dir():
            raise UserError(f"{place.absolute()}: no such folder. Name one that holds photographs.")
        left_out = others_in(place)
        refuse_unreadable(left_out)
        name_left_out(place, left_out)
        images = dict(images_by_name(place))
    if not images:
        raise UserError(f"{folder}: no photograph in it ({', '.join(IMAGE_SUFFIXES[:5])}, …). Name another folder.")
    samples = [Sample(plain(name), plain(name), path) for name, path in images.items()]
    return sorted(samples, key=lambda sample: (sample.group, sample.name))


def list_files(split_dir: Path) -> SplitFiles:
    """List the photographs and masks of a split folder by key, and every other file with the reason."""
    if (split_dir / LIST).is_file():
        pairs = read_list(split_dir / LIST)
        return SplitFiles({key_of(p.name): p.image for p in pairs}, {key_of(p.name): p.mask for p in pairs}, [])
    named = folders_in(split_dir)
    images, masks = named or (split_dir / IMAGES, split_dir / MASKS)
    present = [folder for folder in (images, masks) if folder.is_dir()]
    files = [by_key(images_by_name(folder)) if folder in present else {} for folder in (images, masks)]
    return SplitFiles(files[0], files[1], [left for folder in present for left in others_in(folder)])


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
    """Read the file that `data.cutout.split --mode list` writes. Raises `UserError` that names the wrong line."""
    pairs, seen = [], set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Write it again with data.cutout.split.") from error
    for number, line in enumerate(lines, 1):
        image, tab, mask = line.partition("\t")
        if not tab or not image or not mask:
            raise UserError(f"{path}:{number}: expected an image, a tab and its mask. Correct the line.")
        name = Path(image).stem
        if name in seen:
            raise UserError(f"{path}:{number}: a second image called {name}. Rename one of them.")
        seen.add(name)
        pairs.append(Pair(name, path.parent / image, path.parent / mask))
    if not pairs:
        raise UserError(f"{path}: names no pair. Write it again with data.cutout.split.")
    return pairs


def others_in(folder: Path) -> list[LeftOut]:
    """Return what lies in a folder and is no image, with the reason."""
    return [
        entry if isinstance(entry, LeftOut) else LeftOut(entry.path, "no image", "other_file")
        for entry in files_below(folder)
        if not (isinstance(entry, Found) and entry.path.suffix.lower() in IMAGE_SUFFIXES)
    ]


def plain(name: str) -> str:
    """Return a photograph's name in one part: `folder/photo` → `folder__photo`."""
    return name.replace("/", "__")


def key_of(name: str) -> str:
    """Return the key of the sample of this name."""
    return f"{plain(name)}/{plain(name)}"


def by_key(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return the same files by their samples' keys."""
    return {key_of(name): path for name, path in files.items()}
