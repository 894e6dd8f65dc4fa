"""How distances between outlines are measured, and the options of programs that ask for them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from utils.arguments import positive_number


@dataclass(frozen=True)
class Ruler:
    """`spacing` is the side of a pixel in `unit`; outlines agree within `tolerance`, which is in `unit` too."""

    tolerance: float = 2.0
    spacing: float = 1.0
    unit: str = "px"


def make_ruler(tolerance: float, mm: float | None) -> Ruler:
    """Return a ruler in millimetres if the side of a pixel is known, else in pixels."""
    return Ruler(tolerance) if mm is None else Ruler(tolerance, mm, "mm")


def add_distance_options(parser: argparse.ArgumentParser) -> None:
    """Add `--distances`, `--tolerance` and `--mm`."""
    parser.add_argument("--distances", action="store_true", help="also measure how far outlines lie from the true ones")
    parser.add_argument("--tolerance", type=positive_number, help="distance of outlines that agree (default: 2)")
    parser.add_argument("--mm", type=positive_number, help="side of a pixel: distances and tolerance are then in mm")


def ruler_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Ruler | None:
    """Return how distances are measured; None if they are not asked for. Ends the program if an option needs that."""
    if arguments.distances:
        return make_ruler(arguments.tolerance or Ruler().tolerance, arguments.mm)
    if arguments.mm is not None or arguments.tolerance is not None:
        parser.error("--tolerance and --mm belong to --distances")
    return None
