from __future__ import annotations

import numpy as np

from data.masks.packed import pack_planes
from trainer.drawing.overlays import EXTRA, MISSED, draw_case, draw_errors, draw_masks, shrink_both
from utils.pictures import class_colours


def square(left: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros((2, 40, 40), bool)
    mask[1, 10:20, left : left + 10] = True
    return mask


IMAGE = np.full((40, 40), 100, np.uint8)


def test_every_class_has_its_own_colour() -> None:
    assert len(set(class_colours(29))) == 29


def test_an_overlay_changes_only_where_a_class_is() -> None:
    picture = draw_masks(IMAGE, pack_planes(square(5)), class_colours(2))
    assert picture.shape == (40, 40, 3)
    assert (picture[:8] == 100).all()
    assert (picture[15, 10] != 100).any()


def test_a_difference_shows_what_was_missed_and_what_was_added() -> None:
    picture = draw_errors(IMAGE, pack_planes(square(5)), pack_planes(square(10)))
    missed, extra = picture[15, 7], picture[15, 17]
    assert np.abs(missed - np.array(MISSED)).max() < 40
    assert np.abs(extra - np.array(EXTRA)).max() < 40


def test_a_case_is_four_panels_under_its_caption() -> None:
    image, mask = IMAGE.repeat(8, axis=0).repeat(8, axis=1), pack_planes(square(5)).repeat(8, axis=0).repeat(8, axis=1)
    assert draw_case(image, mask, mask, class_colours(2), "hand.png").shape == (2 * (8 * 40 + 34) + 34, 2 * 8 * 40, 3)


def test_a_picture_is_as_wide_as_its_captions() -> None:
    mask = pack_planes(square(5))
    captioned = draw_case(IMAGE, mask, mask, class_colours(2), "a long name of a small image   Dice 0.1234")
    assert captioned.shape[0] == 2 * (40 + 34) + 34
    assert captioned[:34, -8:].max() == 24
    assert captioned[:34].max() > 200


def test_large_images_are_shrunk_and_small_ones_left_alone() -> None:
    mask = pack_planes(square(5))
    image, packed = shrink_both(IMAGE, mask, 20)
    assert (image.shape, packed.shape) == ((20, 20), (20, 20, 1))
    assert packed.sum() > 0
    assert shrink_both(IMAGE, mask, 640)[0] is IMAGE


def test_an_rgb_image_is_drawn_in_its_colours() -> None:
    """Pictures are in OpenCV's order: blue, green, red."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    drawn = draw_masks(red, pack_planes(np.zeros((1, 8, 8), np.bool_)), class_colours(1))
    assert drawn[0, 0].tolist() == [0, 0, 200]
    assert shrink_both(red, np.zeros((8, 8, 1), np.uint8), 4)[0].shape == (4, 4, 3)
