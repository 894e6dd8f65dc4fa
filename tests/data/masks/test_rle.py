from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.masks import packed as masks
from data.masks import rle

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@st.composite
def stacks(draw: st.DrawFn) -> np.ndarray:
    """A mask bool[H, W, C] of any size, with classes of any density."""
    shape = (*draw(SIZES), draw(st.sampled_from([1, 8, 9, 29, 32, 33, 40, 65])))
    return draw(hnp.arrays(np.bool_, shape))


def usual_text(mask: np.ndarray) -> str:
    """The encoder that contest pipelines share: flatten, find the changes, starts from 1."""
    padded = np.concatenate([[0], mask.flatten(), [0]])
    runs = np.where(padded[1:] != padded[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


@given(stacks())
def test_decode_is_the_inverse_of_encode(mask: np.ndarray) -> None:
    packed = masks.pack(mask)
    runs = rle.encode(packed, mask.shape[2])
    assert len(runs) == mask.shape[2]
    np.testing.assert_array_equal(rle.decode(runs, mask.shape[:2]), packed)


@given(stacks())
def test_encode_is_the_inverse_of_decode_and_text_of_reading(mask: np.ndarray) -> None:
    runs = rle.encode(masks.pack(mask), mask.shape[2])
    again = rle.encode(rle.decode(runs, mask.shape[:2]), mask.shape[2])
    for one, other in zip(runs, again, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(rle.from_text(rle.to_text(one)), one)


@given(stacks())
def test_the_text_is_the_contests(mask: np.ndarray) -> None:
    texts = [rle.to_text(runs) for runs in rle.encode(masks.pack(mask), mask.shape[2])]
    assert texts == [usual_text(mask[..., index]) for index in range(mask.shape[2])]


@given(stacks(), st.integers(0, 2**32 - 1))
def test_areas_and_dice_of_runs_equal_those_of_pixels(mask: np.ndarray, seed: int) -> None:
    classes = mask.shape[2]
    pred, true = masks.pack(mask), masks.pack(np.random.default_rng(seed).permuted(mask, axis=0))
    pairs = list(zip(rle.encode(pred, classes), rle.encode(true, classes), strict=True))
    assert [rle.area(a) for a, _ in pairs] == masks.areas(pred, classes).tolist()
    assert [rle.intersection(a, b) for a, b in pairs] == masks.areas(pred & true, classes).tolist()
    assert [rle.dice(a, b) for a, b in pairs] == masks.dice(pred, true, classes).tolist()


def test_more_changes_than_expected_are_all_kept() -> None:
    mask = np.indices((300, 300)).sum(axis=0)[..., None] % 2 == 0
    mask = np.repeat(mask, 3, axis=2)
    packed = masks.pack(mask)
    np.testing.assert_array_equal(rle.decode(rle.encode(packed, 3), (300, 300)), packed)


def test_a_run_goes_on_over_the_end_of_a_row() -> None:
    mask = np.array([[0, 1], [1, 0]], np.bool_)[..., None]
    assert [rle.to_text(runs) for runs in rle.encode(masks.pack(mask), 1)] == ["2 2"]


def test_an_empty_mask_is_an_empty_text() -> None:
    assert rle.to_text(rle.from_text("")) == ""
    assert rle.from_text("").shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5", "number 1 .* start without a length"),
        ("5 2 9", "number 3 .* start without a length"),
        ("1 2 a 4", "number 3 .* not a positive whole number"),
        ("1.5 2", "number 1 .* not a positive"),
        ("1_0 2", "number 1 .* not a positive"),
        ("0 2", "number 1 .* not a positive"),
        ("3 0", "number 2 .* not a positive"),
        ("-3 1", "number 1 .* not a positive"),
        ("nan", "number 1 .* not a positive"),
        ("5 2 3 1", "number 3 .* out of order"),
        ("5 2 6 1", "number 3 .* overlaps"),
        ("1 99999999999999999999", r"number 2 of the rle, '9{20}', is larger than any image"),
    ],
)
def test_a_malformed_text_is_refused_at_its_number(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        rle.from_text(text)


@given(st.lists(st.sampled_from(["", "1 1", "3 2 7 1", " 5  9 ", "1 1 1", "4 2 3 1", "x", "0 1", "7"])))
def test_pieces_of_a_text_are_read_as_alone_up_to_the_first_malformed_one(pieces: list[str]) -> None:
    ends = np.cumsum([0, *(len(piece) + 1 for piece in pieces)])
    cells = np.column_stack((ends[:-1], ends[1:] - 1))
    runs, bounds = rle.parse_cells(np.frombuffer(",".join([*pieces, ""]).encode(), np.uint8), cells)
    for begin, end, piece in zip(bounds, bounds[1:], pieces, strict=False):
        np.testing.assert_array_equal(runs[begin:end], rle.from_text(piece))
    whole = [rle.to_text(rle.from_text(piece)) for piece in pieces[: len(bounds) - 1]]
    assert rle.texts_of(runs, bounds) == whole
    assert len(bounds) == 1 or rle.end_of_all(runs, bounds) == max(rle.end_of(rle.from_text(piece)) for piece in whole)
    if len(whole) < len(pieces):
        with pytest.raises(ValueError, match="number"):
            rle.from_text(pieces[len(whole)])


def test_runs_that_touch_and_spaces_that_repeat_are_read() -> None:
    assert rle.from_text(" 1  2 3 1 ").tolist() == [[0, 2], [2, 1]]


def test_a_run_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at pixel 5"):
        rle.decode([np.array([[3, 2]])], (2, 2))


@pytest.mark.parametrize("start", [0, 8, 9, 98, 4_194_303, 10**12])
def test_numbers_of_any_length_are_written_whole(start: int) -> None:
    runs = np.array([[start, 1], [start + 10, 10**6]])
    assert rle.to_text(runs) == f"{start + 1} 1 {start + 11} 1000000"


def test_changes_far_apart_and_side_by_side_are_found() -> None:
    """The search for changes goes block by block; a change may be a block's first or last pixel."""
    for places in ([0], [63], [64], [65], [127, 128, 129], [1, 62, 200, 639]):
        mask = np.zeros((1, 640, 1), np.bool_)
        mask[0, places] = True
        np.testing.assert_array_equal(rle.decode(rle.encode(masks.pack(mask), 1), (1, 640)), masks.pack(mask))
        assert rle.to_text(rle.encode(masks.pack(mask), 1)[0]) == usual_text(mask)
