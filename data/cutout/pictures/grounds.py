"""Grounds to lay an object on: a colour, a picture that fills the frame, the blurred photograph."""

# Shapes: H/W pixels of the photograph, h/w pixels of a reduced copy.
from __future__ import annotations

import cv2
import numpy as np
from PIL import ImageColor

from data.refine.base import grown
from utils.arrays import Bytes, Floats32, Image, Size
from utils.errors import UserError

COPY_SIGMA_PX = 4.0
"""Standard deviation of the blur in the reduced copy. It leaves no finer details, so full size would look the same."""
EDGE_SHARE = 0.004
"""Share of the longer side by which the object is taken to be larger: the ground at its edges has its colours too."""


def colour_named(text: str) -> Image:
    """Return a colour, uint8[1, 1, 3], by its name or as #rrggbb. Raises `UserError` for other texts."""
    for written in (text, f"#{text}"):
        try:
            return np.array(ImageColor.getrgb(written)[:3], np.uint8)[None, None]
        except ValueError:
            continue
    raise UserError(f"'{text}' is no colour. Write its name, such as white, or its parts as '#ff8000' in quotes.")


def filling(picture: Image, size_hw: Size) -> Image:
    """Return the largest middle part of a picture that has the proportions of a frame, at its size uint8[H, W, 3]."""
    height, width = size_hw
    scale = max(height / picture.shape[0], width / picture.shape[1])
    part_h, part_w = (max(1, min(had, round(side / scale))) for had, side in zip(picture.shape, size_hw, strict=False))
    top, left = (picture.shape[0] - part_h) // 2, (picture.shape[1] - part_w) // 2
    part = picture[top : top + part_h, left : left + part_w]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=how))


def blurred_ground(photo: Image, alpha: Bytes, strength: float) -> Image:
    """Return the ground of a photograph, blurred, uint8[H, W, 3]; the object's colours are not in it.

    `strength` is the standard deviation of the blur as a share of the longer side. The ground is continued behind the
    object by its colours around it; without any ground it is the photograph that is blurred.
    """
    height, width = alpha.shape
    factor = max(1, int(strength * max(height, width) / COPY_SIGMA_PX))
    colours, known = _reduced(photo, grown(alpha > 0, max(1, round(EDGE_SHARE * max(height, width)))), factor)
    if not known.any():
        colours, known = _reduced(photo, np.zeros(alpha.shape, np.bool_), factor)
    sigma_px = strength * max(height, width) / factor
    soft = cv2.GaussianBlur(continued(colours, known), None, sigma_px, borderType=cv2.BORDER_REPLICATE)
    ground = cv2.resize(np.round(soft).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(ground)


def continued(colours: Floats32, known: Floats32) -> Floats32:
    """Fill unknown pixels of colours float32[h, w, 3] from those around them, the nearest most.

    `known`, float32[h, w] in 0..1, is the share of a pixel that is known. Colours are averaged to ever smaller copies,
    and what is not known in one is taken from the next smaller.
    """
    height, width = known.shape
    if min(height, width) <= 1 and max(height, width) <= 2:
        weight = known[..., None] + np.float32(1e-6)
        return np.broadcast_to((colours * weight).sum((0, 1)) / weight.sum((0, 1)), colours.shape).copy()
    size = max(1, (width + 1) // 2), max(1, (height + 1) // 2)
    smaller = cv2.resize(known, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    sums = cv2.resize(colours * known[..., None], size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], 3)
    means = sums / np.maximum(smaller, 1e-6)[..., None]
    coarse = continued(means, np.minimum(smaller * 4, 1))
    behind = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(colours.shape)
    return np.asarray(known[..., None] * colours + (1 - known[..., None]) * behind)


def _reduced(photo: Image, object_HW: np.ndarray, factor: int) -> tuple[Floats32, Floats32]:
    """Return the mean colours of the ground in squares of the photograph, float32[h, w, 3], and its share of each."""
    height, width = object_HW.shape
    size = -(-width // factor), -(-height // factor)
    ground = cv2.bitwise_and(photo, photo, mask=(~object_HW).astype(np.uint8))
    share = cv2.resize((~object_HW).astype(np.float32), size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    # Below a quarter, the rounding of the sums would show.
    share[share < 0.25] = 0
    sums = cv2.resize(ground, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], 3)
    colours = sums.astype(np.float32) / np.maximum(share, 0.25)[..., None]
    return colours.clip(0, 255), share
