"""What drawings are made of: sizes, colours, squares that stand for transparency, and bytes of files.

Pictures are uint8[H, W, 3] in OpenCV's order (blue, green, red).
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from utils.arrays import Bytes, Colour, Floats32, Image, Picture, Size

LIGHT, DARK = 255, 204
"""Grey values of a checkerboard's squares."""


def as_picture(image: Image) -> Picture:
    """Copy a grey or RGB image into a new picture."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR), np.uint8)


def checkerboard(size_hw: Size, square_px: int, *, light: int = LIGHT, dark: int = DARK) -> Image:
    """Return grey squares, uint8[H, W, 3], that begin with a light one. `light` and `dark` are their values, 0..255."""
    rows, columns = (np.arange(side) // square_px for side in size_hw)
    is_light = (rows[:, None] + columns) % 2 == 0
    return np.where(is_light[..., None], np.uint8(light), np.uint8(dark)).repeat(3, axis=2)


def class_colours(classes: int) -> list[Colour]:
    """Return a colour for each class; hues are a golden section apart, so neighbours in the list differ strongly."""
    colours = []
    for index in range(classes):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1.0, 0.75 - 0.25 * (index % 2), 1.0)
        colours.append((round(255 * blue), round(255 * green), round(255 * red)))
    return colours


def as_hex(colour: Colour) -> str:
    """Return the colour as HTML writes it: `#ff9b2e`."""
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def from_hex(text: str) -> Colour:
    """Return the colour that HTML writes as `#ff9b2e`."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return blue, green, red


def shrunk_size(size_hw: Size, side_px: int) -> Size:
    """Return the size of an image after it is shrunk to at most `side_px` high and wide."""
    height, width = size_hw
    scale = min(1.0, side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(image: Image, side_px: int) -> Image:
    """Shrink an image to at most `side_px`; a smaller one is returned as it is."""
    height, width = shrunk_size(image.shape[:2], side_px)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def cut_out(image: Image, alpha_HW: Bytes, side_px: int) -> tuple[Floats32, Floats32]:
    """Weight a picture's colours with its alpha, and shrink both to at most `side_px`: [h, w, 3] and 0..1 [h, w, 1].

    Colours are shrunk after they are weighted, so that those outside the object leave no fringe around it.
    """
    share = np.divide(alpha_HW[..., None], 255, dtype=np.float32)
    weighted = np.multiply(as_picture(image), share, dtype=np.float32)
    height, width = shrunk_size(image.shape[:2], side_px)
    if (height, width) != image.shape[:2]:
        weighted, share = (
            cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) for part in (weighted, share)
        )
    return weighted, share.reshape(height, width, 1)


def encode_jpeg(picture: Picture, quality: int = 88) -> bytes:
    """Return a picture as the bytes of a JPEG file, about a tenth of a PNG file."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded.tobytes())


def encode_cutout(image: Image, alpha_HW: Bytes, side_px: int, quality: int = 80) -> bytes:
    """Return what an alpha covers of an image as the bytes of a WebP file that is transparent around it."""
    weighted, share = cut_out(image, alpha_HW, side_px)
    straight = np.divide(weighted, share, out=np.zeros_like(weighted), where=share > 0)
    pixels = np.round(np.dstack([straight, 255 * share])).astype(np.uint8)
    _, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return bytes(encoded.tobytes())
