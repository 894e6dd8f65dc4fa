"""Draw masks over an image, each class in a colour of its own."""

# Shapes: H/W pixels, K bytes of a packed mask, C classes.
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from data.masks.packed import plane
from utils.arrays import Bools, Colour, Image, Packed, Picture
from utils.pictures import as_picture


def paint_masks(image: Image, packed: Packed, colours: Sequence[Colour], opacity: float) -> Picture:
    """Draw each class at the image's own size, outlined and filled in its colour. `opacity`: of its area, 0 to 1.

    `image` is grey or RGB, the drawing uint8[H, W, 3] in OpenCV's order (blue, green, red).
    """
    canvas = as_picture(image)
    for index, colour in enumerate(colours):
        paint_mask(canvas, plane(packed, index), colour, opacity)
    return canvas


def paint_mask(canvas: Picture, mask_HW: Bools, colour: Colour, opacity: float) -> None:
    """Fill the mask of a class and draw its outline, in place."""
    blend_mask(canvas, mask_HW, colour, opacity)
    outline_mask(canvas, mask_HW, colour)


def outline_mask(canvas: Picture, mask_HW: Bools, colour: Colour) -> None:
    """Draw the outline of a mask, in place."""
    outlines, _ = cv2.findContours(mask_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, colour, 1, cv2.LINE_AA)


def blend_mask(canvas: Picture, mask_HW: Bools, colour: Colour, opacity: float) -> None:
    """Mix a colour into the pixels of a mask, in place."""
    under = canvas[mask_HW].astype(np.float32)
    canvas[mask_HW] = np.round(under * (1 - opacity) + np.asarray(colour, np.float32) * opacity).astype(np.uint8)
