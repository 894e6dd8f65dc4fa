"""One image with the names of all classes beside it, so that a reader knows what each name means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from data.masks.packed import plane
from trainer.drawing.figures import TRUTH, frame_of, outlines_of, picture_source
from trainer.drawing.overlays import shrink_mask
from utils.arrays import Bytes, Colour, Size
from utils.pictures import as_hex

MARGIN_PX = 150
"""Space for names at the left and at the right of the image."""
FONT_PX = 14


@dataclass(frozen=True)
class Label:
    """The name of a class beside its place (x, y) in the image, in pixels."""

    name: str
    colour: str
    x: float
    y: float


def draw_class_map(image_HW: Bytes, packed_HWK: Bytes, colour_of: Mapping[str, Colour]) -> str:
    """Draw an image with its true masks, and a line from each class to its name in the margin, as an `<svg>`.

    `colour_of`: each class, in order, with its colour."""
    height, width = frame_hw = frame_of(image_HW.shape[:2])
    labels = labels_of(packed_HWK, colour_of, frame_hw)
    middle = float(np.median([label.x for label in labels])) if labels else 0.0
    left = [label for label in labels if label.x <= middle]
    right = [label for label in labels if label.x > middle]
    names = [*_column(left, height, "end", MARGIN_PX - 8), *_column(right, height, "start", MARGIN_PX + width + 8)]
    colours = {name: as_hex(colour) for name, colour in colour_of.items()}
    outlines = "".join(
        f'<path d="{shape.path}" fill="{colours[shape.class_name]}" stroke="{colours[shape.class_name]}"/>'
        for shape in outlines_of(TRUTH, packed_HWK, list(colour_of), frame_hw)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * MARGIN_PX} {height}" '
        f'font-family="sans-serif" font-size="{FONT_PX}">'
        f'<image href="{picture_source(image_HW)}" x="{MARGIN_PX}" width="{width}" height="{height}"/>'
        f'<g transform="translate({MARGIN_PX})" fill-opacity="0.35" fill-rule="evenodd">{outlines}</g>'
        f"{''.join(names)}</svg>"
    )


def labels_of(packed_HWK: Bytes, colour_of: Mapping[str, Colour], frame_hw: Size) -> list[Label]:
    """Find the middle of each class that is there, in a frame of this size, from the uppermost to the lowest."""
    small = shrink_mask(packed_HWK, max(frame_hw))
    down, across = frame_hw[0] / small.shape[0], frame_hw[1] / small.shape[1]
    found = []
    for index, (name, colour) in enumerate(colour_of.items()):
        ys, xs = np.nonzero(plane(small, index))
        if len(ys):
            x, y = float(xs.mean() + 0.5) * across, float(ys.mean() + 0.5) * down
            found.append(Label(name, as_hex(colour), x, y))
    return sorted(found, key=lambda label: label.y)


def _column(labels: Sequence[Label], height: int, anchor: str, x: float) -> list[str]:
    """Names under each other with equal space between them, each with a line to its class."""
    step = height / max(1, len(labels))
    drawn = []
    for place, label in enumerate(labels):
        y = (place + 0.5) * step
        line = f'x1="{x:.0f}" y1="{y:.0f}" x2="{label.x + MARGIN_PX:.1f}" y2="{label.y:.1f}" stroke="{label.colour}"'
        beside = x + (4 if anchor == "start" else -4)
        drawn.append(
            f'<line {line} stroke-width="1.2" opacity="0.85"/>'
            f'<circle cx="{label.x + MARGIN_PX:.1f}" cy="{label.y:.1f}" r="2.5" fill="{label.colour}" stroke="#000"/>'
            f'<text x="{beside:.0f}" y="{y + FONT_PX / 3:.0f}" text-anchor="{anchor}">{escape(label.name)}</text>'
        )
    return drawn
