"""Matting by local colours: how much of a pixel an object covers follows from the colours of object and ground nearby.

Outside the uncertain band the network's alpha is certain, so the colours there are known. They are spread into the
band, so that each of its pixels I has a colour F of the object and a colour B of the ground. The alpha that mixes I of
both is the projection of I - B on F - B. A pixel counts less if F and B are alike, if the colours of object or ground
vary much near it (a flag, leaves), or if no mixture of F and B gives I; such pixels take their alpha from their
neighbours, by a colour guided filter, and from the network.

The band is as wide as the network is unsure: it ends at alphas of 0.003 and 0.997, so it is narrow beside the sharp
edges of a network that was trained on such objects, and wide at hair that a network has hardly seen. If a network is
sure of the object, and the pixel may be the object's colour in other light, its alpha counts more than colours: a
shaded rim looks like a mixture with the ground. It counts little if it is sure of the ground, for networks miss hair
far more often than they invent it.

If next to nothing of the object is certain, its surest pixels show its colours, and colours decide in several passes,
each of which begins with the alpha of the one before: of a tree some branches are enough to find all of it.

Closed-form matting, which solves one system of all pixels, takes about ten times as long.
"""

# Shapes: H/W pixels of the photograph, h/w of the copy.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import (
    Place,
    Planes,
    Refine,
    bounds_of,
    box,
    change_in_tiles,
    dot,
    enlarged,
    grown,
    planes_of,
    size_of_copy,
    wider,
    within,
)
from data.refine.guided_filter import guide
from utils.arrays import Bools, Floats32, Image

FAR_PX, NEAR_PX = (64, 32, 16), (8, 4)
"""Radii, in pixels of the copy, over which known colours are spread: from afar first, then what is nearer."""
COARSER = 4
"""Colours are spread far in a copy with so many times fewer pixels along each side."""
CERTAIN = (0.003, 0.03, 0.1)
"""Alphas so near to 0 or 1 are certain: by the first of these levels at which enough of the object is."""
ENOUGH = 0.1
"""The share of the object that is enough to know its colours."""
FAINT = 0.1
"""The band goes no farther than its reach beyond alphas that are farther than this from 0 and 1."""
ALIKE = 0.01
"""The squared distance of two colours (in 0..1) at which a projection counts half."""
VARIED = 16.0
"""How much the variance of the colours of object and ground adds to that distance."""
UNEXPLAINED = 0.01
"""The squared distance from the mixed to the seen colour at which a projection counts 1/e."""
NETWORK = 0.05
"""How much the network's own alpha counts, beside the projection's 0 to 1."""
SURE, SQUARED = 32.0, 6
"""It counts so much more if it is 1, and less below, squared so many times: 1.2 at 0.95, 0.04 at 0.9."""
SHADED, SHADES = 0.001, (0.3, 1.2)
"""So it does if the colour is the object's, lit by a factor in this range; at this squared distance from it, 1/e."""
OTHER = 0.1
"""The least share of it: a part of another colour, such as a spoon's end in a cup, stays if the network is sure."""
UNSURE = 0.01
"""How much the network counts beside projections if next to nothing of the object is certain."""
SUREST = 0.95
"""Then pixels above this share of the highest alpha show the object's colours."""
OBJECT = 0.5
"""If no alpha is above this one, there is no object, and its colours are not looked for."""
PASSES = 4
"""And colours decide in so many passes, or until enough is certain."""
SMOOTH_PX, SMOOTH_EPS = 3, 1e-4
"""Radius and eps of the filter that follows."""


def colour_matting(*, reach: Annotated[float, Field(ge=0.002, le=0.1)] = 0.04) -> Refine:
    """Compute the alpha of the uncertain band from the colours of object and ground beside it: hair, fur, soft edges.

    reach: how far from the network's edge the band may go, as a share of the picture's longer side; up to four times
      as far if the network is sure of next to nothing of the object.
    """
    return Refine(partial(_mat, reach=reach))


@dataclass(frozen=True)
class Known:
    """What is certain, in a small copy of a photograph, and its colours spread everywhere.

    Colours are float32[h, w, 4]: the mean red, green and blue, and the variance of all three around it.
    """

    uncertain: Floats32
    """float32[h, w]: 1 in the uncertain band, else 0."""
    front_colours: Floats32
    behind_colours: Floats32
    enough: bool
    """Whether enough of the object is certain; else its colours are those of the surest pixels."""


def _mat(image: Image, alpha: Floats32, *, reach: float) -> None:
    for _ in range(PASSES):
        known = _known(image, alpha, reach)
        if known is None:
            return
        if not known.enough:
            alpha /= SUREST * alpha.max()
            alpha.clip(0, 1, out=alpha)
        change_in_tiles(alpha, 2 * SMOOTH_PX, partial(_matted_tile, image, alpha, known))
        if known.enough:
            return


def _known(image: Image, alpha: Floats32, reach: float) -> Known | None:
    """Find what is certain and spread its colours; None if there is no object or no ground, or all is certain."""
    size = size_of_copy(alpha.shape)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    reach_px = max(1, round(reach * max(size)))
    front, behind = _certain(small, reach_px)
    enough = bool(front.any()) and _is_enough(front, small)
    if not enough:
        if alpha.max() <= OBJECT:
            return None
        front, behind = _surest(small, reach_px)
    uncertain = ~(front | behind)
    if not front.any() or not behind.any() or not uncertain.any():
        return None
    colours = planes_of(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return Known(uncertain.astype(np.float32), spread_colours(colours, front), spread_colours(colours, behind), enough)


def _certain(alpha: Floats32, reach_px: int) -> tuple[Bools, Bools]:
    """Return what is certainly object and certainly ground; the band between is uncertain or at a hard edge.

    The band lies within reach of pixels that are clearly neither object nor ground.
    """
    of_object = alpha > 0.5
    for level in CERTAIN:
        band = _beside(alpha, level, 1) & _beside(alpha, FAINT, reach_px)
        front = ~band & of_object
        if _is_enough(front, alpha):
            break
    return front, ~band & ~of_object


def _is_enough(front: Bools, alpha: Floats32) -> bool:
    return bool(front.sum() >= ENOUGH * (alpha > 0.5).sum())


def _surest(alpha: Floats32, reach_px: int) -> tuple[Bools, Bools]:
    """Return what is most likely object, and the ground beyond the reach of all that may be object."""
    highest = alpha.max()
    return alpha > SUREST * highest, ~grown(alpha > FAINT * highest, reach_px)


def _beside(alpha: Floats32, level: float, radius_px: int) -> Bools:
    """Return the pixels with an alpha above a level near them, and one that is below 1 - level."""
    return grown(alpha > level, radius_px) & grown(alpha < 1 - level, radius_px)


def spread_colours(colours: Planes, mask: Bools) -> Floats32:
    """Return for every pixel of a copy the mean of a mask's colours near it, and their variance, float32[h, w, 4]."""
    height, width = mask.shape
    moments = [*colours, dot(colours, colours)]
    weights = mask.astype(np.float32)
    known = [*(moment * weights for moment in moments), weights]
    size = (-(-width // COARSER), -(-height // COARSER))
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in known]
    everywhere = [np.full_like(small[0], moment[mask].mean()) for moment in moments]
    far = _nearer(everywhere, small, [radius // COARSER for radius in FAR_PX])
    from_afar = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in far]
    *mean, squares = _nearer(from_afar, known, NEAR_PX)
    variance = (squares - dot(mean, mean)).clip(0)
    return np.asarray(cv2.merge([*mean, variance]))


def _nearer(spread: Planes, known: Planes, radii_px: Sequence[int]) -> Planes:
    """Replace values by the means of known ones within each radius, as far as there are enough of these.

    `known`: values times their weights, and the weights.
    """
    for radius in radii_px:
        *sums, share = (box(plane, radius) for plane in known)
        enough, share = np.minimum(20 * share, 1), np.maximum(share, np.float32(1e-6))
        spread = [
            np.asarray(plane + (total / share - plane) * enough) for plane, total in zip(spread, sums, strict=True)
        ]
    return spread


def _matted_tile(image: Image, alpha: Floats32, known: Known, tile: Place) -> tuple[Place, Floats32] | None:
    """Return the new alpha of the part of a tile that holds all its uncertain pixels; None if it has none."""
    size_hw = alpha.shape
    place = bounds_of(enlarged(known.uncertain, tile, size_hw) > 0.5, tile)
    if place is None:
        return None
    around = wider(place, 2 * SMOOTH_PX, size_hw)
    inner, given = within(place, around), alpha[around]
    band = enlarged(known.uncertain, around, size_hw) > 0.5
    front, behind = (cv2.split(enlarged(each, around, size_hw)) for each in (known.front_colours, known.behind_colours))
    least = NETWORK if known.enough else UNSURE
    matted = _matted(planes_of(image[around]), given, band, front, behind, least)
    return place, np.where(band[inner], matted[inner], given[inner])


def _matted(colours: Planes, alpha: Floats32, band: Bools, front: Planes, behind: Planes, least: float) -> Floats32:
    """Return the alpha of uncertain pixels.

    `front` and `behind` are mean colours and their variance; `least` is how much the network counts at least.
    """
    projected, weights = project(colours, front, behind)
    sure = alpha.copy()
    for _ in range(SQUARED):
        sure *= sure
    sure *= np.float32(SURE) * _is_shade(colours, front).clip(OTHER)
    network = sure + np.float32(least)
    joined = (projected * weights + alpha * network) / (weights + network)
    # Outside the band the network decides, and counts as much as the surest projection.
    everywhere = np.asarray(np.where(band, joined, alpha), np.float32)
    counts = np.asarray(np.where(band, weights + sure, 1) + 1e-3, np.float32)
    return np.asarray(guide(colours, everywhere, SMOOTH_PX, SMOOTH_EPS, counts).clip(0, 1))


def project(colours: Planes, front: Planes, behind: Planes) -> tuple[Floats32, Floats32]:
    """Return the alpha that mixes each colour of two others best, and how much it counts, both float32[h, w]."""
    difference = [one - other for one, other in zip(front[:3], behind[:3], strict=True)]
    seen = [colour - ground for colour, ground in zip(colours, behind[:3], strict=True)]
    apart = dot(difference, difference)
    alpha = (dot(seen, difference) / (apart + np.float32(1e-5))).clip(0, 1)
    rest = [have - alpha * full for have, full in zip(seen, difference, strict=True)]
    alike = np.float32(ALIKE) + np.float32(VARIED) * (front[3] + behind[3])
    weights = apart / (apart + alike) * np.exp(dot(rest, rest) / np.float32(-UNEXPLAINED))
    return alpha, weights


def _is_shade(colours: Planes, front: Planes) -> Floats32:
    """Return how well each colour is explained by other light on the object's own, 0..1, float32[h, w]."""
    light: Floats32 = (dot(colours, front) / (dot(front, front) + np.float32(1e-4))).clip(*SHADES)
    rest = [colour - light * own for colour, own in zip(colours, front[:3], strict=True)]
    return np.asarray(np.exp(dot(rest, rest) / np.float32(-SHADED)))
