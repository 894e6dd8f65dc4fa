"""From the colours of a file to RGB: by its ICC profile if it has one, as littleCMS does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from typing import TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

from utils.arrays import Image

log = logging.getLogger(__name__)

BAND_ROWS = 256
"""Rows that are converted at a time."""
SPACES = {"CMYK": b"CMYK", "L": b"GRAY", "LA": b"GRAY", "1": b"GRAY", "LAB": b"Lab "}
"""The colour space that a profile must have to belong to a mode of Pillow; for all others it is RGB."""

Convert: TypeAlias = Callable[[PillowImage.Image], PillowImage.Image]
"""An image → the same in RGB."""


def belongs(profile: bytes | None, mode: str) -> bool:
    """Whether an ICC profile describes values of a mode of Pillow."""
    return profile is not None and profile[16:20] == SPACES.get(mode, b"RGB ")


def converter(mode: str, profile: bytes | None) -> Convert:
    """Return what makes RGB of an image of this mode: sRGB by its profile, except for values that are RGB already."""
    if mode in SPACES and belongs(profile, mode):
        assert profile is not None
        source = "L" if SPACES[mode] == b"GRAY" else mode
        transform = srgb_transform(profile, source)
        if transform is not None:
            return lambda image: _applied(transform, image.convert(source))
    return lambda image: image.convert("RGB")


def srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None, with a line in the log, if the profile is damaged."""
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("an ICC profile is damaged, so colours are read without it (%s)", error)
        return None


def to_srgb(pixels: Image, profile: bytes | None) -> Image:
    """Return RGB pixels uint8[H, W, 3] of a profile as sRGB; without a profile they are sRGB already."""
    transform = None if profile is None else srgb_transform(profile, "RGB")
    if transform is None:
        return pixels
    converted = np.empty_like(pixels)
    for top in range(0, len(pixels), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        converted[rows] = np.asarray(_applied(transform, PillowImage.fromarray(pixels[rows])))
    return converted


def _applied(transform: ImageCms.ImageCmsTransform, image: PillowImage.Image) -> PillowImage.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "it is only None if an image is converted in place"
    return converted
