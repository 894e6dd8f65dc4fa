"""Hair that a network has not seen: the object's colours are beside its mask, but not farther away."""

# Shapes: H/W pixels of the photograph, h/w of the copy.
from __future__ import annotations

from functools import partial
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from data.refine.base import Refine, Share, grown, planes_of, size_of_copy
from data.refine.colour_matting import colour_matting, project, spread_colours
from utils.arrays import Floats32, Image

BESIDE, AFAR = 0.08, 0.24
"""How far from the object its colours are looked for, and how far away the ground is compared, in longer sides."""
FAINT = 0.1
"""Nearer than 2 px to alphas above this one is the object's own soft edge."""
FROM, TO = 0.02, 0.04
"""How much more of the object's colours is beside it than afar (0..1) at confidences of 0 and 1."""


def hair(*, confidence: Share = 0.5, reach: Annotated[float, Field(ge=0.002, le=0.1)] = 0.08) -> Refine:
    """Look for strands farther from the object than `colour_matting` does, if the object has such strands.

    confidence: how sure that must be, 0 to 1.
    reach: how far from the object, as a share of the picture's longer side.
    """
    return Refine(partial(_extend, confidence=confidence, reach=reach))


def hair_confidence(image: Image, alpha: Floats32) -> float:
    """Return how sure it is that strands of the object lie outside of its alpha, 0..1.

    A pixel counts as far as it is a mixture of the object's colours with those of the ground.
    """
    size = size_of_copy(alpha.shape)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    inside, near, far = (
        small > 0.5,
        *(grown(small > 0.5, max(1, round(share * max(size)))) for share in (BESIDE, AFAR)),
    )
    core = cv2.erode(inside.view(np.uint8), np.ones((5, 5), np.uint8)).view(np.bool_)
    beside, afar = near & ~grown(small > FAINT, 2), far & ~near
    if not core.any() or not beside.any() or not afar.any():
        return 0.0
    colours = planes_of(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    front, behind = (cv2.split(spread_colours(colours, mask)) for mask in (core, ~near))
    share, counts = project(colours, front, behind)
    found = share * counts
    more = float(found[beside].mean() - found[afar].mean())
    return min(1.0, max(0.0, (more - FROM) / (TO - FROM)))


def _extend(image: Image, alpha: Floats32, *, confidence: float, reach: float) -> None:
    found = hair_confidence(image, alpha)
    if found == 0 or found < confidence:
        return
    colour_matting(reach=reach).change(image, alpha)
