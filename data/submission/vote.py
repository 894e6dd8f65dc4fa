"""Hard voting: merge several submissions into one with the pixels that enough of them have.

The vote is counted by a sweep over the sorted begins and ends of runs, so no pixels are made. The result is byte for
byte that of a vote on every pixel.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from data.image import LARGEST_SIDE_PX
from data.masks.agreement import agreement_of, warn_of_strangers
from data.masks.rle import Masks, end_of_all, texts_of
from data.submission.reader import refuse_other_images, seem_of_another_size
from data.submission.rows import HEADER, read_rows
from data.submission.writer import rows_of
from utils.arrays import Floats, Ints
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing
from utils.parallel import map_ahead
from utils.progress import track
from utils.system.jit import kernel

# Shapes: F files, C classes, R runs.

log = logging.getLogger(__name__)

MAJORITY = "majority"
_HEAVIEST = 1 << 62  # Sums of weights stay below it, so they fit int64.
_NEVER = np.iinfo(np.int64).max
_FILE_BITS, _FILE_MASK = 16, 0xFFFF  # Pixel numbers take 41 bits at most.


@dataclass(frozen=True)
class Ballot:
    """`weights` of the files in each class, int64[C, F], and the weight that a pixel needs, int64[C]; both exact."""

    weights: Ints
    needed: Ints


def vote_files(
    paths: Sequence[Path],
    output: Path,
    classes: Sequence[str],
    *,
    vote: str = MAJORITY,
    weights: Sequence[str] = (),
    prefer: Sequence[str] = (),
) -> None:
    """Write the vote of several submissions: images in the order of the first file, each with all classes in order.

    `vote`: `majority` keeps the pixels that more than half of the weight has (exactly half is not enough); a number
    keeps those that at least this weight has. `weights`: a number for each file (default 1; 0 for a file that serves
    `prefer` only); sums are exact, so `0.1 0.2` against `0.3` is exactly half. `prefer`: `CLASS=FILE` takes a class
    from one file alone. Raises `UserError` for settings that make no sense, malformed files, images that are not in all
    files, and an output that cannot be written.
    """
    ballot = ballot_of(paths, classes, vote, weights, prefer)
    refuse_unwritable([output], paths)
    with replacing(output) as file:
        # All rows are found first, so that a fault in the last file is reported before any work.
        files = list(map_ahead(lambda path: read_rows(path, classes), paths))
        for rows in files:
            rows.refuse_missing()
        refuse_other_images(files)
        file.write(f"{HEADER}\n".encode())
        undecided_px, ends, agreements = 0, [], []
        names = files[0].names

        def vote_on(name: str) -> tuple[bytes, int, list[int], Floats]:
            """Return an image's rows and undecided pixels, and of each file the end of its masks and its agreement."""
            masks = [rows.masks_of(name) for rows in files]
            ends = [end_of_all(*of_file) for of_file in masks]
            refuse_beyond_largest(paths, name, ends)
            voted, halves_px = count_votes(masks, ballot)
            return rows_of(name, classes, texts_of(*voted)), halves_px, ends, agreement_of(masks)

        for written, halves_px, image_ends, agreement_F in track(map_ahead(vote_on, names), "Voting", len(names)):
            file.write(written)
            undecided_px += halves_px
            ends.append(image_ends)
            agreements.append(agreement_F)
    warn_of_other_sizes(paths, ends)
    warn_of_strangers(paths, names, np.stack(agreements))
    note = f"; {undecided_px} pixels had exactly half of the weight and were left out" if undecided_px else ""
    log.info("%s: the vote of %d submissions on %d images%s", output, len(paths), len(names), note)


def count_votes(masks_of_files: Sequence[Masks], ballot: Ballot) -> tuple[Masks, int]:
    """Vote on one image's masks in each file; return the result and how many pixels have exactly half of the weight."""
    runs = np.concatenate([runs for runs, _ in masks_of_files])
    bounds = np.stack([bounds for _, bounds in masks_of_files])
    bounds[1:] += np.cumsum(bounds[:-1, -1])[:, None]  # each file's runs now begin after those of the files before
    voted, ends = np.empty((len(runs) + 1, 2), np.int64), np.zeros(len(ballot.needed) + 1, np.int64)
    halves_px = _count(runs, bounds, ballot.weights, ballot.needed, voted, ends)
    return (voted[: ends[-1]], ends), halves_px


def ballot_of(
    paths: Sequence[Path], classes: Sequence[str], vote: str, weights: Sequence[str], prefer: Sequence[str]
) -> Ballot:
    """Return the settings as whole numbers: weights and votes are multiplied by their common denominator."""
    _refuse_too_few(paths)
    per_file = [_number("--weights", weight) for weight in weights] or [Fraction(1)] * len(paths)
    if len(per_file) != len(paths):
        raise UserError(
            f"--weights: {len(per_file)} weights for {len(paths)} files. Give one for each, in their order."
        )
    enough = None if vote == MAJORITY else _number("--vote", vote)
    total = sum(per_file)
    if not total or (enough is not None and not 0 < enough <= total):
        raise UserError(f"--vote {vote}: the files weigh {total} together. Give '{MAJORITY}' or a number up to that.")
    # Fractions keep decimal numbers exact; their common denominator makes them whole.
    scale = math.lcm(*(number.denominator for number in [*per_file, enough or Fraction(1)]))
    if total * scale >= _HEAVIEST:
        raise UserError(f"--weights {' '.join(weights)}: too many digits to be added exactly. Round them.")
    whole = [int(weight * scale) for weight in per_file]
    needed = sum(whole) // 2 + 1 if enough is None else int(enough * scale)
    ballot = Ballot(np.tile(np.array(whole, np.int64), (len(classes), 1)), np.full(len(classes), needed, np.int64))
    for setting in prefer:
        _prefer(ballot, setting, paths, classes)
    return ballot


def warn_of_other_sizes(paths: Sequence[Path], ends_of_images: Sequence[Sequence[int]]) -> None:
    """Log a warning for a file whose masks all end far above another's, because a CSV does not hold the image size.

    `ends_of_images`: for each image, the end of its masks in each file.
    """
    farthest = [max(ends) for ends in ends_of_images]
    for path, ends in zip(paths, zip(*ends_of_images, strict=True), strict=True):
        if seem_of_another_size(ends, farthest):
            log.warning(
                "%s: in every image its masks end far above another file's. Were they written at another size than "
                "the image's own?",
                path,
            )


def refuse_beyond_largest(paths: Sequence[Path], name: str, ends: Sequence[int]) -> None:
    """Raise `UserError` for a mask that ends after the last pixel of the largest image that is allowed."""
    for path, end in zip(paths, ends, strict=True):
        if end > LARGEST_SIDE_PX**2:
            raise UserError(
                f"{path}: {name}: a run ends at pixel {end}, past the end of the largest image "
                f"({LARGEST_SIDE_PX} x {LARGEST_SIDE_PX} px). Correct its rows."
            )


def _refuse_too_few(paths: Sequence[Path]) -> None:
    if len(paths) < 2:
        raise UserError(f"--csv {' '.join(map(str, paths))}: one file is no vote. Name two or more.")
    twice = [path for index, path in enumerate(paths) if path.resolve() in [p.resolve() for p in paths[:index]]]
    if twice:
        raise UserError(f"--csv: {twice[0]} is named twice. Name it once; --weights lets it count more.")


def _number(option: str, text: str) -> Fraction:
    try:
        number = Fraction(text)
    except (ValueError, ZeroDivisionError):
        number = Fraction(-1)
    if number < 0:
        raise UserError(f"{option}: expected numbers from 0 up, such as 2 or 0.5; got '{text}'.")
    return number


def _prefer(ballot: Ballot, setting: str, paths: Sequence[Path], classes: Sequence[str]) -> None:
    """Let one file decide a class, by giving the others no weight in it."""
    label, equals, name = setting.partition("=")
    if not equals:
        raise UserError(f"--prefer {setting}: expected CLASS=FILE, such as {classes[-1]}={paths[0]}.")
    if label not in classes:
        raise UserError(f"--prefer {setting}: '{label}' is not a class. {did_you_mean_of_all(label, classes)}")
    places = [index for index, path in enumerate(paths) if path == Path(name)]
    places = places or [index for index, path in enumerate(paths) if path.name == name]
    if len(places) != 1:
        problem = "is not one of the files that vote" if not places else "is the name of several files"
        raise UserError(f"--prefer {setting}: {name} {problem}. Write it as in --csv: {', '.join(map(str, paths))}.")
    index = classes.index(label)
    ballot.weights[index], ballot.needed[index] = 0, 1
    ballot.weights[index, places[0]] = 1


@kernel
def _count(
    runs: Ints,
    bounds: Ints,
    weights: Ints,
    needed: Ints,
    voted: Ints,
    ends: Ints,
) -> int:
    """Vote on each class and return the number of pixels with exactly half of the weight.

    File f's runs of class c are runs[bounds[f, c] : bounds[f, c + 1]]; the result's are voted[ends[c] : ends[c + 1]].
    """
    classes, files = weights.shape
    changes, firsts, halves_px = np.empty(2 * len(runs) + files, np.int64), np.empty(files, np.int64), 0
    for index in range(classes):
        _lay_out(runs, bounds[:, index], bounds[:, index + 1], weights[index], changes, firsts)
        flat = voted[ends[index] :].reshape(-1)
        count, at_half_px = _sweep(changes, firsts, weights[index], needed[index], flat)
        for place in range(1, count, 2):  # end - start is the length
            flat[place] -= flat[place - 1]
        ends[index + 1] = ends[index] + count // 2
        halves_px += at_half_px
    return halves_px


@kernel
def _lay_out(
    runs: Ints,
    begins: Ints,
    ends: Ints,
    weights: Ints,
    changes: Ints,
    firsts: Ints,
) -> None:
    """Write each file's changes: begin, end, begin, end, …, `_NEVER`; for a file without weight only `_NEVER`.

    The lower bits of a change are the file's number, so that the smallest change also says which file it belongs to.
    `firsts` receives the index of each file's first change.
    """
    place = 0
    for file in range(len(weights)):
        firsts[file] = place
        for row in range(begins[file], ends[file] if weights[file] else begins[file]):
            start, end = runs[row, 0], runs[row, 0] + runs[row, 1]
            changes[place], changes[place + 1] = start << _FILE_BITS | file, end << _FILE_BITS | file
            place += 2
        changes[place] = _NEVER
        place += 1


@kernel
def _sweep(
    changes: Ints,
    firsts: Ints,
    weights: Ints,
    needed: int,
    voted: Ints,
) -> tuple[int, int]:
    """Go through the changes of all files in order and add up the weight; return the number of changes of the vote.

    They are written to `voted`, which needs room for one more than all files have. Which file changes next, and whether
    the vote then changes, is as good as random, so the code has no branch on either: half of the processor's branch
    predictions would be wrong.
    """
    places, gains, upcoming = firsts.copy(), weights.copy(), changes[firsts]
    total, held, chosen, count, halves_px, last = weights.sum(), 0, 0, 0, 0, 0
    while True:
        change = upcoming[0]
        for other in range(1, upcoming.size):
            change = min(change, upcoming[other])
        # The stretch up to this change belongs to the vote if the weight held so far is enough.
        at, file = change >> _FILE_BITS, change & _FILE_MASK
        flips = (np.int64(held >= needed) ^ chosen) & np.int64(at > last)
        voted[count] = last
        count, chosen = count + int(flips), chosen ^ int(flips)
        halves_px += (at - last) * (2 * held == total)
        last = at
        if change == _NEVER:
            return count, halves_px
        # The file's mask begins (its weight is added) or ends (it is subtracted) here.
        held += gains[file]
        gains[file] = -gains[file]
        places[file] += 1
        upcoming[file] = changes[places[file]]
