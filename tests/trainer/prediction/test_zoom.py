from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.prediction.zoom import OUTSIDE, Surroundings, surroundings_of


def found(rows: slice, columns: slice) -> np.ndarray:
    marked = np.zeros((64, 64), bool)
    marked[rows, columns] = True
    return marked


def test_surroundings_are_what_was_found_and_a_margin() -> None:
    part = surroundings_of(found(slice(10, 40), slice(20, 30)), (640, 640))
    assert part == Surroundings(64, 164, 436, 336)


def test_surroundings_stay_in_the_image() -> None:
    part = surroundings_of(found(slice(0, 30), slice(54, 64)), (640, 320))
    assert part is not None
    assert (part.top, part.right) == (0, 320)


@pytest.mark.parametrize(("rows", "columns"), [(slice(0, 0), slice(0, 0)), (slice(4, 60), slice(0, 9))])
def test_there_is_no_closer_look_at_nothing_or_at_what_fills_the_image(rows: slice, columns: slice) -> None:
    assert surroundings_of(found(rows, columns), (640, 640)) is None


def test_a_speck_does_not_count() -> None:
    marked = found(slice(10, 40), slice(20, 30))
    marked[62, 62] = True
    assert surroundings_of(marked, (640, 640)) == Surroundings(64, 164, 436, 336)


def test_a_closer_look_is_at_most_three_times_finer() -> None:
    part = surroundings_of(found(slice(30, 32), slice(30, 32)), (640, 640))
    assert part is not None
    assert part.bottom - part.top == pytest.approx(640 / 3, abs=2)


@pytest.mark.parametrize("part", [Surroundings(32, 16, 96, 80), Surroundings(64, 64, 128, 128)])
def test_logits_of_a_part_stand_where_the_part_is(part: Surroundings) -> None:
    """128 px, of which the part has 64: its logits are 64 px too, so those of the image are 128 px."""
    logits = torch.randn(2, 64, 64)
    whole = part.spread(logits, (128, 128))
    assert whole.shape == (2, 128, 128)
    assert torch.equal(whole[:, part.top : part.bottom, part.left : part.right], logits)
    assert (whole == OUTSIDE).sum() == 2 * (128 * 128 - 64 * 64)


def test_a_part_of_an_image_is_cut_out() -> None:
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert np.array_equal(Surroundings(2, 3, 5, 9).cut(image), image[2:5, 3:9])
