"""Masks of photographs on disk: grey values, whatever the channels that a program has saved them in.

A mask has one value a pixel. A picture with colours, such as a map of classes or a finished cut-out, is none: its
brightness would be another mask.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.cutout.photos.head import opened
from data.image import read_grey, read_rgb
from utils.arrays import Bytes
from utils.errors import UserError

GREY_MODES = ("1", "L", "I", "I;16")
"""Pillow's names of images with one channel, known without decoding."""
COLOURED = 16
"""Channels that differ by more show a colour; those of a grey JPEG differ by less."""


def read_mask_file(path: Path) -> Bytes:
    """Read a mask's values, uint8[H, W]. Raises `UserError` for a picture with colours or transparent parts."""
    grey_HW = read_grey(path)
    fault = fault_of_channels(path)
    if fault:
        raise UserError(f"{path}: the mask {fault}. Save the mask, or the alpha of a cut-out, as grey values.")
    return grey_HW


def fault_of_channels(path: Path) -> str:
    """Say what is wrong with the channels of a mask: "has colours, …"; empty for a grey one.

    Raises `UserError` for a file that cannot be decoded.
    """
    with opened(path) as image:
        if image.mode in GREY_MODES:
            return ""
        if "A" in image.getbands() and image.getchannel("A").getextrema()[0] != 255:
            return "has transparent parts, which are not read"
    difference = int(np.ptp(read_rgb(path), axis=2).max())
    return f"has colours, whose channels differ by up to {difference}" if difference > COLOURED else ""
