"""Ranges that the preset draws from, and others that no training sees, to score a network on films of another kind.

Hands of children are out of scope: growth plates and bones that are not yet there would need other meshes.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]
"""Least and greatest value of a uniform distribution."""


@dataclass(frozen=True)
class Ranges:
    """Shares are probabilities 0..1; lengths are mm; attenuation is a line integral, about 0.4 in a finger."""

    hand_scale: Range = (0.80, 1.16)
    tissue: Range = (0.86, 1.38)
    """Factor of the distance from bone to skin."""
    cortex: Range = (0.6, 1.6)
    density: Range = (0.75, 1.45)
    """Factor of the attenuation of bone: porous bone or much voltage, dense bone or little."""
    bent_fingers: float = 0.25
    roll_deg: float = 8.0
    """Standard deviation of the hand's rotation on the film."""
    far_roll: Range = (12.0, 40.0)
    far_rolled: float = 0.12
    forearm_mm: Range = (20.0, 105.0)
    """How far below the wrist the film ends."""
    side_gap_mm: Range = (3.0, 55.0)
    """From the outermost bone to the edge of the beam; skin is about 9 mm wide."""
    bordered: float = 0.5
    """Share of films with something around the opening of the beam."""
    border: Range = (0.02, 0.5)
    """Width of a border as a part of the opening's longer side."""
    plaster: float = 0.05
    metal: float = 0.08
    nails: float = 0.3
    scatter: Range = (0.0, 0.35)
    blur_mm: Range = (0.08, 0.45)
    photons: Range = (4e3, 2.5e5)
    """Quanta in a mm² of unattenuated beam; drawn on a logarithmic scale."""
    levelling: Range = (0.0, 0.75)
    sharpening: Range = (0.0, 1.8)
    sharpening_mm: Range = (0.4, 4.0)
    curves: tuple[tuple[str, float], ...] = (
        ("film", 0.32),
        ("window", 0.32),
        ("equalised", 0.14),
        ("local", 0.12),
        ("linear", 0.10),
    )
    """Developing curves by name, with their shares."""
    gain_sd: float = 0.4
    """Standard deviation of the logarithm of brightness, from dim to burnt out."""
    black: Range = (0.0, 0.25)
    white: Range = (0.55, 1.0)
    jpeg: Range = (25.0, 95.0)
    written_on: float = 0.35
    """Share of films with text, arrows or a ruler on them."""


WIDE = Ranges()

UNSEEN = Ranges(
    hand_scale=(0.72, 1.22),
    tissue=(0.78, 1.5),
    cortex=(0.5, 1.8),
    density=(0.6, 1.7),
    roll_deg=14.0,
    border=(0.3, 0.6),
    bordered=0.4,
    scatter=(0.25, 0.45),
    blur_mm=(0.3, 0.5),
    photons=(2e3, 2e4),
    sharpening=(1.2, 2.2),
    curves=(("two_slopes", 0.5), ("logistic", 0.5)),
    gain_sd=0.5,
    black=(0.15, 0.3),
    white=(0.45, 1.0),
    jpeg=(15.0, 30.0),
    plaster=0.1,
    metal=0.15,
    written_on=0.6,
)
"""Other developing curves, coarser grain, more scatter, harder edges, wider borders: none of them is in `WIDE`."""
