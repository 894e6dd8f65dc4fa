"""Draw what a prediction cuts out: on a checkerboard if masks are soft, else as areas over the image.

Both alphas of a picture are uint8[H, W], 0 to 255.

Pictures are uint8[H, W, 3] in OpenCV's order (blue, green, red).
"""

from __future__ import annotations

import cv2
import numpy as np

from data.task import Task
from trainer.drawing.overlays import EXTRA, MISSED, SIDE_PX, draw_masks, in_panels
from utils.arrays import Bytes, Floats32, Image, Picture, StoredMask
from utils.pictures import as_picture, checkerboard, cut_out, shrink

SQUARE_PX = 12
"""Side of the checkerboard's squares."""


def draw_prediction(task: Task, image: Image, mask_HWK: StoredMask, side_px: int) -> Picture:
    """Draw what a mask in the task's encoding takes of an image, at most `side_px` high and wide."""
    if task.encoding.soft:
        return on_checkerboard(image, mask_HWK.max(axis=2), side_px)
    return draw_masks(image, task.encoding.harden(mask_HWK), task.class_colours, side_px=side_px)


def on_checkerboard(image: Image, alpha_HW: Bytes, side_px: int) -> Picture:
    """Lay an image over a checkerboard as far as its alpha covers it, at most `side_px` high and wide."""
    covered, share = cut_out(image, alpha_HW, side_px)
    under = checkerboard((covered.shape[0], covered.shape[1]), SQUARE_PX)
    return np.asarray(np.round(covered + under * (1 - share)), np.uint8)


def draw_cutout_case(image: Image, truth_HW: Bytes, predicted_HW: Bytes, caption: str) -> Picture:
    """Draw photograph and errors above true and predicted cut-out, all under one caption."""
    return in_panels(
        {
            "photograph": shrink(as_picture(image), SIDE_PX),
            "blue: missed   red: added": draw_soft_errors(image, truth_HW, predicted_HW),
            "truth": on_checkerboard(image, truth_HW, SIDE_PX),
            "prediction": on_checkerboard(image, predicted_HW, SIDE_PX),
        },
        caption,
    )


def draw_soft_errors(image: Image, truth_HW: Bytes, predicted_HW: Bytes) -> Picture:
    """Draw how much alpha the prediction missed (blue) and added (red), over a pale grey image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    canvas = as_picture(shrink((128 + 0.4 * grey).astype(np.uint8), SIDE_PX)).astype(np.float64)
    error = _shrunk(predicted_HW.astype(np.float32) - truth_HW, SIDE_PX)[..., None] / 255
    for share, colour in ((np.maximum(-error, 0), MISSED), (np.maximum(error, 0), EXTRA)):
        canvas = canvas * (1 - share) + np.array(colour) * share
    return np.asarray(np.round(canvas), np.uint8)


def _shrunk(values: Floats32, side_px: int) -> Floats32:
    """Shrink to at most `side_px` by the mean of what falls into a pixel; smaller values are returned as they are."""
    scale = side_px / max(values.shape[:2])
    if scale >= 1:
        return values
    size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
