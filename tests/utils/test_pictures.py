from __future__ import annotations

import cv2
import numpy as np

from utils.arrays import Colour
from utils.pictures import checkerboard, class_colours, encode_cutout, shrink, shrunk_size


def luminance(colour: Colour) -> float:
    """The relative luminance of a colour, as the guidelines for contrast (WCAG 2) define it."""
    parts = [value / 255 for value in colour]
    blue, green, red = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_class_has_a_colour_of_its_own_that_is_seen_on_dark_images() -> None:
    """Contrast of 3 is asked of graphics; the ground is the dark grey of a radiograph."""
    colours = class_colours(29)
    assert len(set(colours)) == 29
    assert min((luminance(colour) + 0.05) / (luminance((16, 16, 16)) + 0.05) for colour in colours) >= 3


def test_a_checkerboard_begins_with_a_light_square() -> None:
    board = checkerboard((5, 4), 2, light=9, dark=7)
    assert board[..., 0].tolist() == [[9, 9, 7, 7], [9, 9, 7, 7], [7, 7, 9, 9], [7, 7, 9, 9], [9, 9, 7, 7]]


def test_only_large_images_are_shrunk() -> None:
    image = np.zeros((40, 80), np.uint8)
    assert shrunk_size((40, 80), 20) == (10, 20)
    assert shrunk_size((1, 900), 20) == (1, 20)
    assert shrink(image, 80) is image
    assert shrink(image, 20).shape == (10, 20)


def test_a_cut_out_has_no_colour_of_what_is_around_it() -> None:
    """A red object on a green ground, shrunk to a tenth: half-covered pixels are red too."""
    image, alpha = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    image[..., 1] = 255
    image[:, 45:] = (255, 0, 0)
    alpha[:, 45:] = 255
    written = np.frombuffer(encode_cutout(image, alpha, 10, quality=100), np.uint8)
    pixels = cv2.imdecode(written, cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (10, 10, 4)
    assert abs(int(pixels[5, 4, 3]) - 127) < 3
    assert pixels[5, 4, 1] < 40, "green"
    assert pixels[5, 4, 2] > 200, "red"
