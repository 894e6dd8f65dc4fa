"""Labels unlike the others of their data set: exchanged names, bones far off, odd areas, rings and holes in outlines.

Every measure is held against the set's own median and spread (median absolute deviation), so nothing is assumed of a
camera or of hands; only the limits are constants. Measured on rendered hands, see `docs/check.md`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.check.checks import LabelFacts
from data.check.finding import Finding
from data.hand_bone.checks.places import Atlas, Places, atlas_of, places_of
from data.hand_bone.checks.shapes import HandShape
from data.hand_bone.classes import BONE_GROUPS, BONES
from utils.arrays import Bools, Floats

# Shapes: N hands, C classes (29), S slices of a bone; nan where a class is absent.

FEWEST_HANDS = 8
"""With fewer there is no telling what is usual."""

FEWEST_BONES = 20
"""A label with fewer is not looked at as a hand."""

AREA_SIGMAS, AREA_FACTOR = 5.0, 1.5
"""An area is odd beyond both: so many standard deviations of its class, and this many times larger or smaller."""

WIDTH_SIGMAS, WIDTH_FACTOR = 8.0, 1.22
"""The same for the width of a slice against its surroundings in the same bone: where a ring stands out."""

BORDER_PX = 0.3
"""How exactly a slice's borders are drawn: in small images bones are a few pixels wide, and points are whole pixels."""

HOLE, APART = 0.01, 0.03
"""Share of an outline's inside that may be a hole, and of a bone that may lie apart, beyond what is usual."""

MIXED_UP = 4
"""More exchanged bones than these are one finding."""

SWAP_GAIN = 20.0
"""How much better (chi-square) bones must fit other names; planted exchanges of neighbours gain 50 and more."""

STRAY_SIGMAS, STRAY, STRAY_FOREARM = 12.0, 0.15, 0.9
"""A bone is far off beyond both: standard deviations of its class, and the frame's unit, about half a palm.

A bent wrist swings the forearm by 40 degrees, and few hands may show it."""

_ENDS = 4
"""Slices at a bone's ends whose width says little."""
_REACH = 6
"""Slices on either side that a slice's width is held against."""
_LONG = 1.3
"""Bones of at least this elongation have a long axis to measure widths along."""
_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""


@dataclass(frozen=True)
class Hand:
    """One label to be held against the others; `file` and `exclude` as in `Finding`."""

    file: str
    exclude: str | None
    shape: HandShape


def compare_hands(labels: Sequence[LabelFacts]) -> tuple[list[Finding], list[str]]:
    """Return the suspicious labels, and a sentence if there are too few to be compared."""
    hands = [Hand(fact.file, fact.exclude, fact.measured) for fact in labels if isinstance(fact.measured, HandShape)]
    whole = sum(is_hand(hand) for hand in hands)
    if not hands or whole >= FEWEST_HANDS:
        return suspects(hands), []
    there = "there is 1" if whole == 1 else f"there are {whole}"
    remark = f"Areas, places and outlines were not compared: that takes {FEWEST_HANDS} labelled hands, {there}."
    return [], [remark]


def suspects(hands: Sequence[Hand]) -> list[Finding]:
    """The suspicious labels, at most one finding for each bone; none where there are fewer than `FEWEST_HANDS`."""
    hands = [hand for hand in hands if is_hand(hand)]
    if len(hands) < FEWEST_HANDS:
        return []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty", RuntimeWarning)  # A class that no label has.
        return _suspects(hands)


def is_hand(hand: Hand) -> bool:
    """Whether a label has enough bones to be looked at as a hand."""
    return int(np.isfinite(hand.shape.area).sum()) >= FEWEST_BONES


def _suspects(hands: Sequence[Hand]) -> list[Finding]:
    logs = np.log(np.stack([hand.shape.area for hand in hands]))
    logs -= size_of_hands(logs)[:, None]
    elongations = np.log(np.stack([hand.shape.elongation for hand in hands]))
    found = list(_misnamed(hands, logs, elongations))
    told = {(finding.file, name) for finding in found for name in finding.classes}
    odd = [*_odd_areas(hands, logs), *_odd_outlines(hands)]
    return found + [finding for finding in _oddest(odd) if (finding.file, finding.classes[0]) not in told]


def size_of_hands(logs_NC: Floats) -> Floats:
    """[N], the logarithm of each hand's areas against the usual ones, as most of its bones have it."""
    size: Floats = np.nanmedian(logs_NC - np.nanmedian(logs_NC, axis=0), axis=1)
    return size


def spread_of(values: Floats, floor: float = 0.0) -> Floats:
    """Standard deviation of each column about its median, as the middle half of the values has it."""
    deviation = np.abs(values - np.nanmedian(values, axis=0))
    spread: Floats = np.maximum(_SIGMA * np.nanmedian(deviation, axis=0), floor)
    return spread


def _misnamed(hands: Sequence[Hand], logs: Floats, elongations: Floats) -> Iterator[Finding]:
    """Bones with other bones' names, and bones that lie where none belongs."""
    centres = np.stack([hand.shape.centre[:, 0] + 1j * hand.shape.centre[:, 1] for hand in hands])
    atlas, laid = atlas_of(centres)
    forms = np.stack([logs, elongations], axis=2)
    usual = np.nanmedian(forms, axis=0)
    spread = np.stack([spread_of(logs, 0.08), spread_of(elongations, 0.05)], axis=1)
    for hand, its, form in zip(hands, laid, forms, strict=True):
        found = places_of(atlas, its, form, usual, spread)
        yield from _swaps(hand, found)
        yield from _strays(hand, atlas, found)


def _swaps(hand: Hand, found: Places) -> Iterator[Finding]:
    """Each small exchange alone; a label that is mixed up altogether is one finding."""
    cycles = [(cycle, gain) for cycle, gain in found.cycles if gain > SWAP_GAIN]
    if sum(len(cycle) for cycle, _ in cycles) > MIXED_UP:
        cycles = [(sorted(index for cycle, _ in cycles for index in cycle), sum(gain for _, gain in cycles))]
    for cycle, gain in cycles:
        names = tuple(BONES[index] for index in cycle)
        text = swap_text(names, tuple(BONES[found.taken[index]] for index in cycle))
        yield Finding("swapped", hand.file, text, names, hand.exclude, oddness=gain / SWAP_GAIN)


def swap_text(names: Sequence[str], places: Sequence[str]) -> str:
    """Which outline lies where, while that is few enough to read."""
    if len(names) == 1:
        return f"it has the place and shape of {places[0]}"
    if len(names) == 2:
        return f"{names[0]} and {names[1]} have each other's place and shape"
    shown = ", ".join(f"{name} at {place}" for name, place in zip(names[:4], places[:4], strict=True))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{len(names)} bones have others' places: {shown}{more}"


def _strays(hand: Hand, atlas: Atlas, found: Places) -> Iterator[Finding]:
    """A bone that the image's edge cuts has its middle wherever the image ends."""
    for index in np.flatnonzero((found.taken == np.arange(len(BONES))) & ~hand.shape.cut).tolist():
        least = STRAY_FOREARM if BONES[index] in BONE_GROUPS["forearm"] else STRAY
        limit = found.unit_px * max(STRAY_SIGMAS * float(atlas.spread[index]), least)
        if found.off_px[index] > limit:
            text = f"it lies {found.off_px[index]:.0f} px from where its neighbours would have it"
            oddness = float(found.off_px[index]) / limit
            yield Finding("misplaced", hand.file, text, (BONES[index],), hand.exclude, oddness)


def _odd_areas(hands: Sequence[Hand], logs: Floats) -> Iterator[Finding]:
    """Areas far from the class's own distribution; the size of the hand is taken out."""
    areas = np.stack([hand.shape.area for hand in hands])
    noise = 1 / np.sqrt(np.nanmedian(areas, axis=0))  # An outline is drawn to about a pixel.
    limit = np.maximum(AREA_SIGMAS * np.hypot(spread_of(logs), noise), np.log(AREA_FACTOR))
    deviation = logs - np.nanmedian(logs, axis=0)
    for row, column in _where(np.abs(deviation) > limit):
        ratio = float(np.exp(deviation[row, column]))
        area = areas[row, column]
        times = f"{ratio:.1f} times" if ratio > 1 else f"{ratio:.0%} of"
        text = f"{area:,.0f} px, {times} the usual {area / ratio:,.0f} px in a hand of this size"
        oddness = float(abs(deviation[row, column]) / limit[column])
        yield Finding("area", hands[row].file, text, (BONES[column],), hands[row].exclude, oddness)


def _odd_outlines(hands: Sequence[Hand]) -> Iterator[Finding]:
    """Holes, loose parts and bulges: what a ring drawn into a bone leaves behind."""
    holes = np.stack([hand.shape.hole for hand in hands])
    parts = np.stack([hand.shape.apart for hand in hands])
    for shares, allowed, text in ((holes, HOLE, _hole_text), (parts, APART, _parts_text)):
        limit = np.nanmedian(shares, axis=0) + np.maximum(allowed, AREA_SIGMAS * spread_of(shares))
        for row, column in _where(shares > limit):
            share = float(shares[row, column])
            oddness = share / float(limit[column])
            yield Finding("outline", hands[row].file, text(share), (BONES[column],), hands[row].exclude, oddness)
    yield from _bulges(hands)


def _hole_text(share: float) -> str:
    return f"the outline encloses a hole of {share:.0%} of its inside; a ring, or a line that crosses itself?"


def _parts_text(share: float) -> str:
    return f"{share:.0%} of its area are apart from the rest; a ring, or a stray outline?"


def _bulges(hands: Sequence[Hand]) -> Iterator[Finding]:
    """Long bones that are suddenly wider or narrower than the same bone is elsewhere."""
    widths = np.stack([hand.shape.widths for hand in hands])
    local = beyond_surroundings(widths - np.nanmedian(widths, axis=0))[:, :, _ENDS:-_ENDS]
    area = np.stack([hand.shape.area for hand in hands])
    width_px = np.exp(np.nanmedian(widths, axis=0)) * np.sqrt(np.nanmedian(area, axis=0))[:, None]
    noise = BORDER_PX / width_px[:, _ENDS:-_ENDS]
    spread = np.maximum(_SIGMA * np.nanmedian(np.abs(local), axis=0), 0.02)
    limit = np.maximum(WIDTH_SIGMAS * np.hypot(spread, noise), np.log(WIDTH_FACTOR))
    long = np.nanmedian(np.stack([hand.shape.elongation for hand in hands]), axis=0) >= _LONG
    long &= ~np.isin(BONES, BONE_GROUPS["forearm"])  # How much of it is in the image differs, and so does its shape.
    oddness = np.where(long[None, :, None], np.abs(local) / limit, 0)
    for row, column in _where(oddness.max(axis=2) > 1):
        place = int(oddness[row, column].argmax())
        factor = float(np.exp(local[row, column, place]))
        times = f"{factor:.1f} times" if factor > 1 else f"{factor:.0%} of"
        text = f"at one place {times} its usual width; a ring in the outline?"
        odd = float(oddness[row, column, place])
        yield Finding("outline", hands[row].file, text, (BONES[column],), hands[row].exclude, odd)


def beyond_surroundings(values: Floats) -> Floats:
    """The last axis, less the median of `_REACH` values on either side of each."""
    slices = values.shape[-1]
    around = [values[..., max(0, i - _REACH) : i + _REACH + 1] for i in range(slices)]
    local: Floats = values - np.stack([np.median(window, axis=-1) for window in around], axis=-1)
    return local


def _where(flags: Bools) -> Iterator[tuple[int, int]]:
    rows, columns = np.nonzero(flags)
    yield from zip(rows.tolist(), columns.tolist(), strict=True)


def _oddest(findings: Iterable[Finding]) -> list[Finding]:
    """Of several findings about one bone of one file the oddest."""
    best: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.file, finding.classes[0]
        if key not in best or finding.oddness > best[key].oddness:
            best[key] = finding
    return list(best.values())
