"""Split images and masks into train and test: `python -m data.cutout.split --images DIR --masks DIR --out ROOT`.

`ROOT/train` and `ROOT/test` get the folders `images` and `masks`, as copies, as links, or with `--mode list` a file
`pairs.txt` that names them. The same seed gives the same split. Images with equal bytes stay on one side.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.cutout.pairs import Pair, name_alone, pair_folders
from utils.arguments import seed_number
from utils.errors import UserError
from utils.files import refuse_unwritable, write_text
from utils.log import log_to_console
from utils.parallel import map_ahead
from utils.program import run_program
from utils.progress import track
from utils.text import composed, list_names, pluralize

log = logging.getLogger(__name__)

TRAIN, TEST = SIDES = ("train", "test")
LIST = "pairs.txt"
"""A line for each pair, with tabs between: the image, the mask, and the name that both have."""


def main() -> None:
    arguments = parse()
    log_to_console()
    split(
        arguments.images,
        arguments.masks,
        arguments.out,
        ratio=arguments.ratio,
        seed=arguments.seed,
        mode=arguments.mode,
        test_list=arguments.test_list,
        mask_suffix=arguments.mask_suffix,
    )


def split(
    images: Path,
    masks: Path,
    out: Path,
    *,
    ratio: float = 0.7,
    seed: int = 42,
    mode: str = "copy",
    test_list: Path | None = None,
    mask_suffix: str = "",
) -> None:
    """Split the pairs of two folders and place them below `out`.

    They are divided by `ratio` and `seed`, or by the names of the images to test with in the file `test_list`. Raises
    `UserError` if the folders do not fit, `out` holds a split already, or nothing would be left on one side.
    """
    if not 0 < ratio < 1:
        raise UserError(f"--ratio {ratio:g}: expected the share of training images, above 0 and below 1, such as 0.7.")
    used = [side for side in SIDES if (out / side).exists()]
    if used:
        raise UserError(f"--out {out}: holds {used[0]} already. Name another folder, or remove it.")
    refuse_overlap(images, masks, out)
    pairs = pair_folders(images, masks, mask_suffix)
    name_alone(pairs)
    refuse_unwritable([out / LIST])
    sides = divide(pairs.pairs, ratio, seed) if test_list is None else divide_by_list(pairs.pairs, test_list)
    unfinished = out / ".split.part"
    shutil.rmtree(unfinished, ignore_errors=True)  # a killed process may have left one
    try:
        for side, members in sides.items():
            WRITERS[mode](members, unfinished / side)
        for side in SIDES:
            (unfinished / side).rename(out / side)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    log.info("%s: %d pairs to train on, %d to test", out, len(sides[TRAIN]), len(sides[TEST]))


def refuse_overlap(images: Path, masks: Path, out: Path) -> None:
    """Raise `UserError` if images and masks are one folder, or if the split would lie among them."""
    if images.resolve() == masks.resolve():
        raise UserError(f"--masks {masks}: is the folder of images. Name the folder of their masks.")
    for option, folder in (("images", images), ("masks", masks)):
        if out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"--out {out}: lies in --{option}, which would hold every file twice. Name another folder.")


def divide(pairs: Sequence[Pair], ratio: float, seed: int) -> Mapping[str, list[Pair]]:
    """Divide pairs into train and test. Both are sorted by name, and together they are all pairs.

    Images with equal bytes count as one picture, since a network that has seen one knows the others. Raises `UserError`
    if there are fewer than two pictures.
    """
    groups: dict[str, list[Pair]] = {}
    digests = track(map_ahead(digest_of, [pair.image for pair in pairs]), "Comparing images", len(pairs))
    for pair, digest in zip(pairs, digests, strict=True):
        groups.setdefault(digest, []).append(pair)
    if len(groups) < 2:
        raise UserError("--images: a split needs two different images with masks, one for each side. Add some.")
    if len(groups) < len(pairs):
        log.warning(
            "%s equal to another, kept on its side", pluralize(len(pairs) - len(groups), "image is", "images are")
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    members = list(groups.values())
    count = min(len(groups) - 1, max(1, round(ratio * len(groups))))
    chosen = {TRAIN: order[:count], TEST: order[count:]}
    return {
        side: sorted((pair for index in places for pair in members[index]), key=lambda pair: pair.name)
        for side, places in chosen.items()
    }


def divide_by_list(pairs: Sequence[Pair], path: Path) -> Mapping[str, list[Pair]]:
    """Divide pairs into those whose images a file names, to test with, and all others.

    The file has a name a line: the path of an image below its folder, with or without suffix. Raises `UserError` for a
    name without a pair, and if nothing would be left on one side.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--test-list {path}: cannot be read ({error}). Name a text file with a name a line."
        ) from error
    names = {pair.name: pair.name for pair in pairs} | {f"{pair.name}{pair.image.suffix}": pair.name for pair in pairs}
    wanted = [composed(line.strip()) for line in lines if line.strip()]
    unknown = [line for line in wanted if line not in names]
    if unknown:
        count = pluralize(len(unknown), "name is", "names are")
        raise UserError(
            f"--test-list {path}: {count} of no image with a mask: {list_names(unknown)}. Correct the list."
        )
    chosen = {names[line] for line in wanted}
    if not 0 < len(chosen) < len(pairs):
        raise UserError(f"--test-list {path}: names {len(chosen)} of {len(pairs)} images. Name some, and not all.")
    return {
        TRAIN: [pair for pair in pairs if pair.name not in chosen],
        TEST: [pair for pair in pairs if pair.name in chosen],
    }


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file. Raises `UserError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error


def copy_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """Copy images and masks into `folder`."""
    _place(pairs, folder, shutil.copyfile)


def link_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """Link images and masks into `folder`; the links are absolute, so the split may be moved and its source may not."""
    _place(pairs, folder, lambda source, target: target.symlink_to(source.resolve()))


def list_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """Write the file that names images and masks where they are."""
    lines = [f"{pair.image.resolve()}\t{pair.mask.resolve()}\t{pair.name}\n" for pair in pairs]
    broken = next((line for line in lines if line.count("\t") != 2 or len(line.splitlines()) != 1), None)
    if broken is not None:
        raise UserError(f"{broken!r}: a tab or a line break in a name, which no list can hold. Rename it.")
    write_text(folder / LIST, "".join(lines))


WRITERS: dict[str, Callable[[Sequence[Pair], Path], None]] = {
    "copy": copy_pairs,
    "link": link_pairs,
    "list": list_pairs,
}


def _place(pairs: Sequence[Pair], folder: Path, place: Callable[[Path, Path], object]) -> None:
    for pair in track(pairs, f"Writing {folder.name}", len(pairs)):
        for part, source in (("images", pair.image), ("masks", pair.mask)):
            target = folder / part / f"{pair.name}{source.suffix}"
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                place(source, target)
            except OSError as error:
                raise UserError(
                    f"{target}: could not be written ({error.strerror}). Free space, or try another --mode or --out."
                ) from error


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.cutout.split", description="Split images and their masks into train and test."
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--masks", type=Path, required=True, help="folder of masks with the same names")
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold train/ and test/")
    parser.add_argument("--ratio", type=float, default=0.7, help="share of images to train on (default 0.7)")
    parser.add_argument("--seed", type=seed_number, default=42, help="same seed, same split (default 42)")
    parser.add_argument(
        "--test-list", type=Path, metavar="FILE", help="names of the images to test with, one a line (not by chance)"
    )
    parser.add_argument(
        "--mask-suffix", default="", metavar="TEXT", help="what a mask's name ends in, such as _mask in photo_mask.png"
    )
    parser.add_argument("--mode", choices=list(WRITERS), default="copy", help="how files are placed (default copy)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
