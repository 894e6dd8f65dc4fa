"""Read photographs of every usual kind: upright, RGB with 8 bits per channel, the file's own alpha beside them."""

# Shapes: H/W pixels of the photograph as it is shown.
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from data.cutout.photos.colours import BAND_ROWS, SPACES, belongs, converter, to_srgb
from data.cutout.photos.head import NO_NOTES, TURNS_SIDES, Notes, Photo, look_at_photo, opened, turn_upright
from data.image import read_rgb
from utils.arrays import Bytes, Image

BY_OPENCV = ("JPEG", "MPO", "PNG")
"""Formats that OpenCV decodes more quickly than Pillow, if their values are 8 bits of grey or RGB."""


@dataclass(frozen=True)
class Photograph:
    """A photograph as it is shown: its pixels uint8[H, W, 3], RGB, and what else its file says."""

    pixels: Image
    own_alpha: Bytes | None = None
    """The alpha that the file has already, uint8[H, W]; None if it is opaque."""
    notes: Notes = NO_NOTES
    """The profile is one of RGB; dots per inch are those of the upright picture."""

    @property
    def in_srgb(self) -> Photograph:
        """The same photograph in sRGB."""
        if self.notes.profile is None:
            return self
        pixels = to_srgb(self.pixels, self.notes.profile)
        return replace(self, pixels=pixels, notes=replace(self.notes, profile=None))

    def alpha_with(self, alpha: Bytes) -> Bytes:
        """Return an alpha uint8[H, W] multiplied by the file's own."""
        if self.own_alpha is None:
            return alpha
        return np.asarray((alpha.astype(np.uint16) * self.own_alpha + 127) // 255, np.uint8)


def read_photo(path: Path) -> Photograph:
    """Decode a photograph. 16 bits per channel become 8, CMYK becomes sRGB; of several pictures the first is read.

    Raises `UserError` for a file that is absent, empty, truncated, damaged, too large, or no image.
    """
    photo = look_at_photo(path)
    if photo.format in BY_OPENCV and is_plain(photo):
        return Photograph(read_rgb(path), None, notes_of(photo))
    with opened(path) as image:
        image.load()
        pixels, alpha = as_arrays(image, photo)
    # Pillow has turned a TIFF already.
    orientation = 1 if photo.format == "TIFF" else photo.orientation
    own_alpha = None if alpha is None or alpha.min() == 255 else turn_upright(alpha, orientation)
    return Photograph(turn_upright(pixels, orientation), own_alpha, notes_of(photo))


def read_pixels(path: Path) -> Image:
    """Decode the pixels of a photograph, uint8[H, W, 3]; see `read_photo`."""
    return read_photo(path).pixels


def is_plain(photo: Photo) -> bool:
    """Whether a photograph is 8 bits of grey or RGB, without alpha, and no profile must be applied to make it RGB."""
    converted = photo.mode in SPACES and belongs(photo.notes.profile, photo.mode)
    return photo.mode in ("L", "RGB") and not photo.has_alpha and not photo.is_deep and not converted


def notes_of(photo: Photo) -> Notes:
    """Return what is to be noted beside a photograph's upright RGB pixels."""
    is_rgb = photo.mode not in SPACES and belongs(photo.notes.profile, "RGB")
    dpi = photo.notes.dpi
    if dpi is not None and photo.orientation in TURNS_SIDES:
        dpi = dpi[1], dpi[0]
    return Notes(photo.notes.profile if is_rgb else None, dpi)


def as_arrays(image: PillowImage.Image, photo: Photo) -> tuple[Image, Bytes | None]:
    """Return RGB uint8[h, w, 3] and alpha uint8[h, w] of an image as stored, a band of rows at a time."""
    convert = converter(photo.mode, photo.notes.profile)
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if photo.has_alpha else None
    for top in range(0, height, BAND_ROWS):
        rows = slice(top, min(top + BAND_ROWS, height))
        band = in_8_bits(image.crop((0, rows.start, width, rows.stop)))
        if alpha is not None:
            band = band.convert("RGBA") if band.mode not in ("LA", "RGBA") else band
            alpha[rows] = np.asarray(band.getchannel("A"))
        pixels[rows] = np.asarray(convert(band))
    return pixels, alpha


def in_8_bits(image: PillowImage.Image) -> PillowImage.Image:
    """Return an image whose grey values have 16 bits with the upper 8 of them, others as they are."""
    if "16" not in image.mode:
        return image
    return PillowImage.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
