"""The sliders of the fine-tuning: from refinements to their positions, and to what a request says of its look."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EDGES = ("none", "guided_filter", "colour_matting")
ISLANDS = ("none", "main", "min_area")
OUTPUTS = {"transparent": "rgba", "mask": "mask"}
"""The output of a view; that of the view `ground` is chosen."""


@dataclass(frozen=True)
class Controls:
    """The positions of the controls of refinements. Each switches one, and gives it one parameter."""

    stretch: bool
    edges: str
    """One of `EDGES`."""
    radius_px: int
    """Of the guided filter."""
    islands: str
    """One of `ISLANDS`."""
    cutoff: float
    """0: off."""
    gamma: float
    """1: off."""
    feather_px: int
    """0: off."""

    @property
    def fields(self) -> dict[str, Any]:
        """What they say of a look, as its fields."""
        given: dict[str, Any] = {"min_max": self.stretch, "colour_matting": self.edges == "colour_matting"}
        for name, parameter, value, is_on in (
            ("guided_filter", "radius_px", self.radius_px, self.edges == "guided_filter"),
            ("islands", "keep", self.islands, self.islands != "none"),
            ("cutoff", "level", self.cutoff, self.cutoff > 0),
            ("gamma", "exponent", self.gamma, self.gamma < 1),
            ("feather", "radius_px", self.feather_px, self.feather_px > 0),
        ):
            given.update({f"{name}_{parameter}": value} if is_on else {name: False})
        return given


def controls_of(refinements: Iterable[Mapping[str, Any]]) -> Controls:
    """Return the positions of the controls for refinements, each `{name, …parameters}`."""
    params = {spec["name"]: spec for spec in refinements}

    def value(name: str, parameter: str, usual: Any, off: Any) -> Any:
        return params[name].get(parameter, usual) if name in params else off

    return Controls(
        stretch="min_max" in params,
        edges=next((name for name in EDGES[1:] if name in params), "none"),
        radius_px=value("guided_filter", "radius_px", 4, 4),
        islands=value("islands", "keep", "main", "none"),
        cutoff=value("cutoff", "level", 0.2, 0.0),
        gamma=value("gamma", "exponent", 0.5, 1.0),
        feather_px=value("feather", "radius_px", 3, 0),
    )


def colour_named(text: str) -> str:
    """Return what a colour picker has sent, such as `rgba(255, 128, 0, 1)`, as `#rrggbb`; other texts unchanged."""
    numbers = re.findall(r"[\d.]+", text) if text.startswith("rgb") else []
    if len(numbers) < 3:
        return text
    return "#" + "".join(f"{min(255, round(float(number))):02x}" for number in numbers[:3])
