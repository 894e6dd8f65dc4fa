"""Draw masks over images: in colours, and truth, prediction and errors side by side.

Pictures are uint8 [H, W, 3] in OpenCV's order (blue, green, red).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from data.masks.overlay import blend_mask, paint_masks
from utils.arrays import Bytes, Colour, Picture
from utils.pictures import as_picture, shrink, shrunk_size

# Shapes: H/W pixels of the picture, K bytes of a packed mask, C classes.

SIDE_PX = 640
"""The largest side of a panel."""
FILL = 0.35
"""Usual opacity of a class's area; its outline is opaque."""
MISSED: Colour = (255, 130, 40)
EXTRA: Colour = (40, 90, 255)
AGREED: Colour = (225, 225, 225)
CAPTION_PX = 34


def draw_masks(
    image_HW: Bytes, packed_HWK: Bytes, colours: Sequence[Colour], *, side_px: int = SIDE_PX, fill: float = FILL
) -> Bytes:
    """Draw each class over the image, outlined and filled in its colour, at most `side_px` high and wide.

    `fill` is the opacity of its area, 0 to 1.
    """
    image, packed = shrink_both(image_HW, packed_HWK, side_px)
    return paint_masks(image, packed, colours, fill)


def draw_errors(image_HW: Bytes, truth_HWK: Bytes, predicted_HWK: Bytes, *, side_px: int = SIDE_PX) -> Bytes:
    """Draw where prediction and truth agree (light), what the prediction missed (blue) and what it added (red)."""
    image, truth = shrink_both(image_HW, truth_HWK, side_px)
    _, predicted = shrink_both(image_HW, predicted_HWK, side_px)
    canvas = as_picture((image * 0.6).astype(np.uint8))
    for part, colour, opacity in (
        (truth & predicted, AGREED, 0.25),
        (truth & ~predicted, MISSED, 0.9),
        (predicted & ~truth, EXTRA, 0.9),
    ):
        blend_mask(canvas, np.asarray(part.any(axis=2)), colour, opacity)
    return canvas


def draw_case(
    image_HW: Bytes, truth_HWK: Bytes, predicted_HWK: Bytes, colours: Sequence[Colour], caption: str
) -> Bytes:
    """Draw image and errors above truth and prediction, all under one caption."""
    panels = {
        "image": as_picture(shrink(image_HW, SIDE_PX)),
        "blue: missed   red: added": draw_errors(image_HW, truth_HWK, predicted_HWK),
        "truth": draw_masks(image_HW, truth_HWK, colours),
        "prediction": draw_masks(image_HW, predicted_HWK, colours),
    }
    return in_panels(panels, caption)


def in_panels(pictures: Mapping[str, Picture], caption: str) -> Picture:
    """Arrange four pictures of one size, each under its title, two above two, all under one caption."""
    panels = [titled(picture, title) for title, picture in pictures.items()]
    width = max(panel.shape[1] for panel in panels)
    wide = [np.pad(panel, ((0, 0), (0, width - panel.shape[1]), (0, 0))) for panel in panels]
    return titled(np.vstack([np.hstack(wide[:2]), np.hstack(wide[2:])]), caption)


def shrink_both(image_HW: Bytes, packed_HWK: Bytes, side_px: int) -> tuple[Bytes, Bytes]:
    """Shrink image and mask to at most `side_px`; smaller ones are returned as they are."""
    return shrink(image_HW, side_px), shrink_mask(packed_HWK, side_px)


def shrink_mask(packed_HWK: Bytes, side_px: int) -> Bytes:
    """Shrink a mask to at most `side_px` by taking the nearest pixel; a smaller one is returned as it is."""
    height, width = packed_HWK.shape[:2]
    new_height, new_width = shrunk_size((height, width), side_px)
    if new_height == height and new_width == width:
        return packed_HWK
    rows = ((np.arange(new_height) + 0.5) * height / new_height).astype(np.intp)
    columns = ((np.arange(new_width) + 0.5) * width / new_width).astype(np.intp)
    return np.asarray(packed_HWK[rows[:, None], columns])


def titled(picture: Bytes, caption: str) -> Bytes:
    """Put a dark strip with a caption above a picture; ASCII, because OpenCV's font has nothing else."""
    (text_px, _), _ = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    width = max(picture.shape[1], text_px + 20)
    page = np.full((CAPTION_PX + picture.shape[0], width, 3), 24, np.uint8)
    page[CAPTION_PX:, : picture.shape[1]] = picture
    cv2.putText(page, caption, (10, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (235, 235, 235), 1, cv2.LINE_AA)
    return page
