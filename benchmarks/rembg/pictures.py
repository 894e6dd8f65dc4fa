"""The scenes that cut-outs are compared on. Parameters were chosen on `TUNING`; results are those of `REPORT`."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.scenes import SHAPES, Scene, draw_scene

NEW = ("wheel",)
"""The shape that no parameter was chosen on."""
TUNING = (("paper", "wood", "cloth", "print"), (0, 1, 2), tuple(shape for shape in SHAPES if shape not in NEW))
REPORT = (("stone", "tiles", "skin"), (601, 602, 603), tuple(SHAPES))
"""Grounds, seeds and shapes. No ground and no seed is in both."""
SETS = {"tuning": TUNING, "report": REPORT}


def scenes_of(name: str, each: int | None = None) -> Iterator[Scene]:
    """Draw the scenes of a set: each shape with each seed, or with so many, before the grounds in turn."""
    grounds, seeds, shapes = SETS[name]
    for number, shape in enumerate(shapes):
        for turn, seed in enumerate(seeds[:each]):
            yield draw_scene(shape, grounds[(number + turn) % len(grounds)], seed)
