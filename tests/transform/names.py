"""Class names that every transform accepts: those of a hand's bones; and the transforms of colours alone."""

from __future__ import annotations

from transform import INTENSITY, refuse_channels
from utils.errors import UserError

CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")
HAND = (*(f"finger-{number}" for number in range(1, 20)), *CARPALS, "Radius", "Ulna")


def changes_grey(name: str) -> bool:
    """Whether a transform accepts grey images."""
    try:
        refuse_channels(INTENSITY[name](), 1)
    except UserError:
        return False
    return True


OF_COLOURS = tuple(name for name in INTENSITY if not changes_grey(name))
