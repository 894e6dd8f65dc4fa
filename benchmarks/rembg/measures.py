"""How good a cut-out is, measured by the exact truth of its scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from benchmarks.scenes import Scene
from data.cutout.metrics.boundary import boundary_accuracy
from utils.arrays import Bytes

SOFT = (0.02, 0.98)
"""True alphas between these are soft."""
INSIDE = 0.999


@dataclass(frozen=True)
class Quality:
    """The measures of one cut-out, or their means over several."""

    soft_error: float
    """Mean |alpha - truth| of soft pixels, 0..1."""
    boundary: float
    """Share of both boundaries within 2 px of the other one, 0..1."""
    colour_error: float
    """Mean difference of soft pixels from the object's own colours in grey levels, weighted by the cut-out's alpha."""
    opaque: float
    """Share of the inside that has an alpha of 255, 0..1."""
    changed: float
    """Share of these opaque pixels whose colour is not the photograph's, 0..1."""
    seconds: float
    """Processor time, the network included."""


def quality_of(cutout_HW4: Bytes, scene: Scene, seconds: float) -> Quality:
    """Measure a cut-out uint8[H, W, 4] with straight colours."""
    alpha = cutout_HW4[..., 3] / 255.0
    soft = (scene.alpha > SOFT[0]) & (scene.alpha < SOFT[1])
    inside = (scene.alpha > INSIDE) & (cutout_HW4[..., 3] == 255)
    away = np.abs(cutout_HW4[..., :3].astype(np.float64) - scene.colours).mean(2)
    weight = alpha * soft
    return Quality(
        soft_error=float(np.abs(alpha - scene.alpha)[soft].mean()),
        boundary=boundary_accuracy(alpha, scene.alpha.astype(np.float64)),
        colour_error=float((away * weight).sum() / max(weight.sum(), 1e-9)),
        opaque=float(inside.sum() / max((scene.alpha > INSIDE).sum(), 1)),
        changed=float((cutout_HW4[..., :3] != scene.picture).any(2)[inside].mean()) if inside.any() else 0.0,
        seconds=seconds,
    )


def mean_of(all_of: Sequence[Quality]) -> Quality:
    """Return the mean of each measure."""
    return Quality(*np.mean([astuple(one) for one in all_of], axis=0).tolist())


NAMES = tuple(field.name for field in fields(Quality))
