"""Hard voting: several submissions become one that holds the pixels which enough of them hold, without making pixels.

A pixel is counted by sweeping over the sorted ends of runs. The result is that of a vote on pixels, byte for byte.
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
from data.masks.rle import Masks, end_of_all, texts_of
from data.submission.reader import refuse_other_images, seem_of_another_frame
from data.submission.rows import HEADER, read_rows
from data.submission.writer import rows_of
from utils.arrays import Ints
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
_FILE_BITS, _FILE_MASK = 16, 0xFFFF  # Places in an image take 41 bits at most.


@dataclass(frozen=True)
class Ballot:
    """How much each file counts in each class, int64[C, F], and how much a pixel needs, int64[C], both exact."""

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
    """Write the vote of some submissions: images in the first one's order, each with all classes in their order.

    `vote`: `majority` keeps the pixels that more than half of the weight holds (at exactly half they are left out), a
    number those that at least so much holds. `weights`: a number for each file, 1 without, 0 for one that only serves
    `prefer`; sums are exact, so `0.1 0.2` against `0.3` is half. `prefer`: `CLASS=FILE` takes a class from one of the
    files alone. Raises `UserError` for settings that make no sense, malformed files, images that are not in all of
    them, and an output that cannot be.
    """
    ballot = ballot_of(paths, classes, vote, weights, prefer)
    refuse_unwritable([output], paths)
    with replacing(output) as file:
        files = list(map_ahead(lambda path: read_rows(path, classes), paths))
        for rows in files:
            rows.refuse_missing()
        refuse_other_images(files)
        file.write(f"{HEADER}\n".encode())
        undecided_px, ends = 0, []
        names = files[0].names

        def one(name: str) -> tuple[bytes, int, list[int]]:
            masks = [rows.masks_of(name) for rows in files]
            ends = [end_of_all(*its) for its in masks]
            refuse_endless(paths, name, ends)
            voted, halves_px = count_votes(masks, ballot)
            return rows_of(name, classes, texts_of(*voted)), halves_px, ends

        for written, halves_px, its in track(map_ahead(one, names), "Voting", len(names)):
            file.write(written)
            undecided_px += halves_px
            ends.append(its)
    warn_of_other_frames(paths, ends)
    told = f"; {undecided_px} pixels had exactly half of the weight and were left out" if undecided_px else ""
    log.info("%s: the vote of %d submissions on %d images%s", output, len(paths), len(names), told)


def count_votes(masks_of_files: Sequence[Masks], ballot: Ballot) -> tuple[Masks, int]:
    """One image's masks in each file → those voted for, and how many pixels have exactly half of the weight."""
    runs = np.concatenate([its for its, _ in masks_of_files])
    bounds = np.stack([its for _, its in masks_of_files])
    bounds[1:] += np.cumsum(bounds[:-1, -1])[:, None]
    voted, ends = np.empty((len(runs) + 1, 2), np.int64), np.zeros(len(ballot.needed) + 1, np.int64)
    halves_px = _count(runs, bounds, ballot.weights, ballot.needed, voted, ends)
    return (voted[: ends[-1]], ends), halves_px


def ballot_of(
    paths: Sequence[Path], classes: Sequence[str], vote: str, weights: Sequence[str], prefer: Sequence[str]
) -> Ballot:
    """The settings as whole numbers: weights and votes are brought to a common denominator."""
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
    scale = math.lcm(*(number.denominator for number in [*per_file, enough or Fraction(1)]))
    if total * scale >= _HEAVIEST:
        raise UserError(f"--weights {' '.join(weights)}: too many digits to be added exactly. Round them.")
    whole = [int(weight * scale) for weight in per_file]
    needed = sum(whole) // 2 + 1 if enough is None else int(enough * scale)
    ballot = Ballot(np.tile(np.array(whole, np.int64), (len(classes), 1)), np.full(len(classes), needed, np.int64))
    for setting in prefer:
        _prefer(ballot, setting, paths, classes)
    return ballot


def warn_of_other_frames(paths: Sequence[Path], ends_of_images: Sequence[Sequence[int]]) -> None:
    """Say so where a file's masks all end far above another's: a CSV does not tell the size of its images.

    `ends_of_images`: of each image, the end of its masks in each file.
    """
    farthest = [max(ends) for ends in ends_of_images]
    for path, ends in zip(paths, zip(*ends_of_images, strict=True), strict=True):
        if seem_of_another_frame(ends, farthest):
            log.warning(
                "%s: in every image its masks end far above another file's. Were they written at another size than "
                "the image's own?",
                path,
            )


def refuse_endless(paths: Sequence[Path], name: str, ends: Sequence[int]) -> None:
    """Raise `UserError` for a mask that no image can hold: a CSV does not tell the size, but there is a largest."""
    for path, end in zip(paths, ends, strict=True):
        if end > LARGEST_SIDE_PX**2:
            raise UserError(
                f"{path}: {name}: a run ends at pixel {end}, past the end of the largest image "
                f"({LARGEST_SIDE_PX} x {LARGEST_SIDE_PX} px). Mend its rows."
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
    """Let one file alone decide a class."""
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
    """Vote class after class; `ends[c]` is the first of `voted` after those of c classes. Returns pixels at half.

    File f's runs of class c are runs[bounds[f, c] : bounds[f, c + 1]].
    """
    classes, files = weights.shape
    changes, firsts, halves_px = np.empty(2 * len(runs) + files, np.int64), np.empty(files, np.int64), 0
    for index in range(classes):
        _lay_out(runs, bounds[:, index], bounds[:, index + 1], weights[index], changes, firsts)
        flat = voted[ends[index] :].reshape(-1)
        count, at_half_px = _sweep(changes, firsts, weights[index], needed[index], flat)
        for place in range(1, count, 2):
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
    """Write where each file's mask begins and ends, begins and ends, …, never; a file without weight never does.

    The file's number stands in the lower bits of each, so that the smallest of several also tells whose it is.
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
    """Go from change to change of any file, adding up the weight; returns how many changes the vote has.

    They are written to `voted`, which needs room for one more than all files have. Which file changes next, and
    whether the vote then changes, is a toss-up, so neither is branched on: a processor guesses wrong every other time.
    """
    places, gains, upcoming = firsts.copy(), weights.copy(), changes[firsts]
    total, held, chosen, count, halves_px, last = weights.sum(), 0, 0, 0, 0, 0
    while True:
        change = upcoming[0]
        for other in range(1, upcoming.size):
            change = min(change, upcoming[other])
        at, file = change >> _FILE_BITS, change & _FILE_MASK
        flips = (np.int64(held >= needed) ^ chosen) & np.int64(at > last)
        voted[count] = last
        count, chosen = count + int(flips), chosen ^ int(flips)
        halves_px += (at - last) * (2 * held == total)
        last = at
        if change == _NEVER:
            return count, halves_px
        held += gains[file]
        gains[file] = -gains[file]
        places[file] += 1
        upcoming[file] = changes[places[file]]
