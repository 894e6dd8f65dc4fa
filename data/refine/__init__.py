"""Refinements of soft masks by name: each changes the alpha of an object with the help of its photograph.

The keyword-only arguments of a builder are its keys in YAML. `PRESETS` are lists of refinements that belong together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data.refine.base import Refine, refine_mask
from data.refine.cases.hair import hair
from data.refine.cases.special_cases import special_cases
from data.refine.cases.texture import texture
from data.refine.cases.transparency import transparency
from data.refine.colour_matting import colour_matting
from data.refine.colours import object_colours
from data.refine.feather import feather
from data.refine.guided_filter import guided_filter
from data.refine.islands import islands
from data.refine.levels import cutoff, gamma, min_max

__all__ = ["PRESETS", "REFINEMENTS", "Refine", "object_colours", "preset", "refine_mask"]

REFINEMENTS: dict[str, Callable[..., Refine]] = {
    "min_max": min_max,
    "guided_filter": guided_filter,
    "colour_matting": colour_matting,
    "islands": islands,
    "cutoff": cutoff,
    "gamma": gamma,
    "feather": feather,
    "transparency": transparency,
    "hair": hair,
    "texture": texture,
    "special_cases": special_cases,
}

PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "plain": (),
    "u2net": ({"name": "min_max"},),
    "nuggy": ({"name": "guided_filter"}, {"name": "islands"}, {"name": "cutoff"}, {"name": "gamma"}),
    "soft": (
        {"name": "colour_matting"},
        {"name": "islands", "keep": "min_area"},
        {"name": "cutoff", "level": 0.05},
    ),
    "people": ({"name": "islands", "keep": "min_area"}, {"name": "feather", "radius_px": 15}),
}
"""Refinements in their order, by the name of the preset."""


def preset(name: str) -> tuple[Refine, ...]:
    """Build the refinements of a preset."""
    specs = (dict(spec) for spec in PRESETS[name])
    return tuple(REFINEMENTS[spec.pop("name")](**spec) for spec in specs)
