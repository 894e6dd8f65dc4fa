"""The bones in submission order, and the groups that reports speak of."""

from __future__ import annotations

BONES: tuple[str, ...] = (
    *(f"finger-{number}" for number in range(1, 20)),
    "Trapezium",
    "Trapezoid",
    "Capitate",
    "Hamate",
    "Scaphoid",
    "Lunate",
    "Triquetrum",
    "Pisiform",
    "Radius",
    "Ulna",
)
"""The contest's 29 classes; a class's place here is its index in masks, logits and CSV rows.

Thumb: 1 distal phalanx, 2 proximal phalanx, 3 metacarpal. Then index 4-7, middle 8-11, ring 12-15, little 16-19,
each from the tip: distal, middle, proximal phalanx, metacarpal.
"""

BONE_GROUPS: dict[str, tuple[str, ...]] = {
    "phalanges": tuple(BONES[i] for i in (0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17)),
    "metacarpals": tuple(BONES[i] for i in (2, 6, 10, 14, 18)),
    "carpals": BONES[19:27],
    "forearm": BONES[27:],
}
"""Every bone is in exactly one group."""
