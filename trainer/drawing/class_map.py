"""One image with the names of all classes beside it, so that a reader knows what each name means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from data.masks.packed import plane
from trainer.drawing.html import jpeg_source
from trainer.drawing.overlays import SIDE_PX, draw_masks, shrink_both
from utils.arrays import Bytes
from utils.pictures import as_hex, class_colours, encode_jpeg

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


def draw_class_map(image_HW: Bytes, packed_HWK: Bytes, classes: Sequence[str]) -> str:
    """Draw an image with its true masks, and a line from each class to its name in the margin, as an `<svg>`."""
    drawn = draw_masks(image_HW, packed_HWK, len(classes))
    labels = labels_of(shrink_both(image_HW, packed_HWK, SIDE_PX)[1], classes)
    height, width = drawn.shape[:2]
    middle = float(np.median([label.x for label in labels])) if labels else 0.0
    left = [label for label in labels if label.x <= middle]
    right = [label for label in labels if label.x > middle]
    names = [*_column(left, height, "end", MARGIN_PX - 8), *_column(right, height, "start", MARGIN_PX + width + 8)]
    source = jpeg_source(encode_jpeg(drawn))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * MARGIN_PX} {height}" '
        f'font-family="sans-serif" font-size="{FONT_PX}">'
        f'<image href="{source}" x="{MARGIN_PX}" width="{width}" height="{height}"/>{"".join(names)}</svg>'
    )


def labels_of(packed_HWK: Bytes, classes: Sequence[str]) -> list[Label]:
    """Find the middle of each class that is there, from the uppermost to the lowest."""
    colours = class_colours(len(classes))
    found = []
    for index, name in enumerate(classes):
        ys, xs = np.nonzero(plane(packed_HWK, index))
        if len(ys):
            found.append(Label(name, as_hex(colours[index]), float(xs.mean()), float(ys.mean())))
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
