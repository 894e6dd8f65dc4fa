from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.masks import packed as masks
from data.masks.rle import Masks, encode
from data.sample import Sample
from data.submission.reader import read_submission
from data.submission.rows import HEADER
from data.submission.vote import ballot_of, count_votes, vote_files
from data.submission.writer import SubmissionWriter
from utils.errors import UserError

CLASSES = ("Radius", "Ulna", "Lunate")
WEIGHTS = st.sampled_from(["0", "1", "2", "0.1", "0.2", "0.3", "1/3", "7e-3"])
PATHS = [Path(f"{letter}.csv") for letter in "ABCDEFG"]


@st.composite
def elections(draw: st.DrawFn) -> tuple[np.ndarray, list[str], str]:
    """Masks bool[F, H, W, C] of files that mostly agree, their weights, and what a pixel needs."""
    files = draw(st.integers(2, 6))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), len(CLASSES))
    common = draw(hnp.arrays(np.bool_, shape))
    noise = draw(hnp.arrays(np.bool_, (files, *shape), elements=st.sampled_from([False, False, False, True])))
    weights = draw(st.lists(WEIGHTS, min_size=files, max_size=files).filter(lambda its: any(w != "0" for w in its)))
    total = sum(map(Fraction, weights))
    vote = draw(st.sampled_from(["majority", str(total), str(total / 3), str(Fraction(total, 2))]))
    return common ^ noise, weights, vote


def masks_of(stack: np.ndarray) -> Masks:
    """A mask bool[H, W, C] as one file's masks."""
    runs = encode(masks.pack(stack), len(CLASSES))
    return np.concatenate(runs), np.cumsum([0, *map(len, runs)])


def vote_on_pixels(stacks: np.ndarray, weights: list[str], vote: str) -> tuple[np.ndarray, int]:
    """bool[H, W, C] by counting every pixel, in exact numbers, and the pixels at exactly half."""
    held = (stacks * np.array([Fraction(weight) for weight in weights], object)[:, None, None, None]).sum(axis=0)
    total = sum(map(Fraction, weights))
    enough = 2 * held > total if vote == "majority" else held >= Fraction(vote)
    return enough.astype(np.bool_), int((2 * held == total).sum())


def written(path: Path, masks_NHWC: np.ndarray, names: list[str]) -> Path:
    """A submission of masks bool[N, H, W, C]."""
    samples = [Sample(name, "ID001", Path(name)) for name in names]
    with SubmissionWriter(path, samples, CLASSES, lambda _: masks_NHWC.shape[1:3]) as writer:
        for name, mask in zip(names, masks_NHWC, strict=True):
            writer.write_mask(name, masks.pack(mask))
    return path


@pytest.fixture
def truth() -> np.ndarray:
    """Masks bool[N, H, W, C] of four images: three bars, each longer than wide, away from the diagonal."""
    stack = np.zeros((4, 40, 40, 3), np.bool_)
    for image in range(4):
        for bone in range(3):
            stack[image, 4 : 30 + image, 22 + 5 * bone : 26 + 5 * bone, bone] = True
    return stack


NAMES = [f"image{number}.png" for number in range(4)]


@pytest.mark.parametrize("files", [2, 3])
def test_a_transposed_file_is_named_with_its_figure(
    truth: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture, files: int
) -> None:
    paths = [written(tmp_path / f"{index}.csv", truth, NAMES) for index in range(files - 1)]
    turned = written(tmp_path / "turned.csv", truth.transpose(0, 2, 1, 3), NAMES)
    with caplog.at_level(logging.WARNING):
        vote_files([*paths, turned], tmp_path / "vote.csv", CLASSES)
    told = [message for message in caplog.messages if "hardly overlap" in message]
    assert any(
        message.startswith(f"{turned}: its masks hardly overlap those of the other files: a Dice of 0.1")
        for message in told
    )
    assert len(told) == (2 if files == 2 else 1)  # Of two files that differ, neither is known to be right.


def test_a_file_with_other_masks_in_one_image_names_it(
    truth: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    swapped = truth.copy()
    swapped[2] = truth[2].transpose(1, 0, 2)
    files = [truth, truth, swapped]
    paths = [written(tmp_path / f"{index}.csv", stack, NAMES) for index, stack in enumerate(files)]
    with caplog.at_level(logging.WARNING):
        vote_files(paths, tmp_path / "vote.csv", CLASSES)
    (line,) = caplog.messages
    assert line == f"{paths[2]}: in 1 of 4 images its masks hardly overlap those of the other files: image2.png"


def test_files_that_agree_or_are_empty_are_not_named(
    truth: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    smaller = truth.copy()
    smaller[:, ::3] = False
    smaller[0] = truth[0]
    for number, stacks in enumerate([(truth, smaller), (np.zeros_like(truth), np.zeros_like(truth))]):
        paths = [written(tmp_path / f"{number}_{index}.csv", stack, NAMES) for index, stack in enumerate(stacks)]
        with caplog.at_level(logging.WARNING):
            vote_files(paths, tmp_path / "vote.csv", CLASSES)
    assert not caplog.messages


@given(elections())
def test_the_vote_on_runs_is_the_vote_on_pixels(election: tuple[np.ndarray, list[str], str]) -> None:
    stacks, weights, vote = election
    ballot = ballot_of(PATHS[: len(stacks)], CLASSES, vote, weights, [])
    voted, halves_px = count_votes([masks_of(stack) for stack in stacks], ballot)
    expected, expected_halves_px = vote_on_pixels(stacks, weights, vote)
    for part, wanted in zip(voted, masks_of(expected), strict=True):
        np.testing.assert_array_equal(part, wanted)
    assert halves_px == expected_halves_px


@given(elections(), st.integers(0, 5))
def test_a_preferred_file_alone_decides_its_class(election: tuple[np.ndarray, list[str], str], place: int) -> None:
    stacks, weights, vote = election
    place %= len(stacks)
    ballot = ballot_of(PATHS[: len(stacks)], CLASSES, vote, weights, [f"Ulna={PATHS[place]}"])
    voted, _ = count_votes([masks_of(stack) for stack in stacks], ballot)
    expected, _ = vote_on_pixels(stacks, weights, vote)
    expected[..., 1] = stacks[place, ..., 1]
    for part, wanted in zip(voted, masks_of(expected), strict=True):
        np.testing.assert_array_equal(part, wanted)


def rows(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in (HEADER, *lines)))
    return path


def test_runs_that_touch_are_counted_as_one(tmp_path: Path) -> None:
    a = rows(tmp_path / "a.csv", "x.png,Radius,1 2 3 2")
    b = rows(tmp_path / "b.csv", "x.png,Radius,2 1 3 1 4 9")
    vote_files([a, b], tmp_path / "o.csv", ["Radius"], vote="2")
    assert (tmp_path / "o.csv").read_text() == f"{HEADER}\nx.png,Radius,2 3\n"


def test_files_are_joined_by_image_and_class_and_an_empty_mask_is_an_empty_cell(tmp_path: Path) -> None:
    a = rows(tmp_path / "a.csv", "y.png,Radius,1 4", "y.png,Ulna,", "x.png,Ulna,9 1", "x.png,Radius,3 3")
    b = rows(tmp_path / "b.csv", "x.png,Radius,4 3", "y.png,Ulna,7 1", "x.png,Ulna,", "y.png,Radius,2 4")
    c = rows(tmp_path / "c.csv", "y.png,Ulna,", "y.png,Radius,9 1", "x.png,Radius,5 5", "x.png,Ulna,8 2")
    vote_files([a, b, c], tmp_path / "o.csv", ["Radius", "Ulna"])
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == [
        *("y.png,Radius,2 3", "y.png,Ulna,"),
        *("x.png,Radius,4 3", "x.png,Ulna,9 1"),
    ]


def write_masks(path: Path, stacks: np.ndarray) -> Path:
    """A submission of masks bool[N, H, W, C]."""
    samples = [Sample(f"image{index}.png", "ID001", Path("nowhere")) for index in range(len(stacks))]
    with SubmissionWriter(path, samples, CLASSES, lambda _: stacks.shape[1:3]) as writer:
        for sample, stack in zip(samples, stacks, strict=True):
            writer.write_mask(sample.name, masks.pack(stack))
    return path


def test_the_file_is_the_one_that_the_voted_masks_would_give(tmp_path: Path) -> None:
    stacks = np.random.default_rng(0).random((5, 3, 20, 30, len(CLASSES))) < 0.5
    paths = [write_masks(tmp_path / path, stack) for path, stack in zip(PATHS[:5], stacks, strict=True)]
    vote_files(paths, tmp_path / "new" / "o.csv", CLASSES)
    expected = write_masks(tmp_path / "expected.csv", stacks.sum(axis=0) >= 3)
    assert (tmp_path / "new" / "o.csv").read_bytes() == expected.read_bytes()
    read_submission(tmp_path / "new" / "o.csv", CLASSES)


def test_a_majority_is_more_than_half_and_ties_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    a, b = rows(tmp_path / "a.csv", "x.png,Radius,1 5"), rows(tmp_path / "b.csv", "x.png,Radius,3 4")
    vote_files([a, b], tmp_path / "o.csv", ["Radius"])
    assert (tmp_path / "o.csv").read_text().splitlines()[1] == "x.png,Radius,3 3"
    assert "3 pixels had exactly half of the weight and were left out" in caplog.text
    vote_files([a, b], tmp_path / "o.csv", ["Radius"], vote="1")
    assert (tmp_path / "o.csv").read_text().splitlines()[1] == "x.png,Radius,1 6"


def test_weights_are_added_exactly(tmp_path: Path) -> None:
    """In floating point 0.1 + 0.2 is more than 0.3."""
    texts = ("1 5", "1 5", "9 1")
    paths = [rows(tmp_path / f"{i}.csv", f"x.png,Radius,{text}") for i, text in enumerate(texts)]
    vote_files(paths, tmp_path / "o.csv", ["Radius"], weights=["0.1", "0.2", "0.3"])
    assert (tmp_path / "o.csv").read_text().splitlines()[1] == "x.png,Radius,"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"vote": "most"}, "--vote: expected numbers from 0 up, such as 2 or 0.5; got 'most'"),
        ({"vote": "0"}, "--vote 0: the files weigh 3 together. Give 'majority' or a number up to that"),
        ({"vote": "4"}, "--vote 4: the files weigh 3 together"),
        ({"weights": ["1", "2"]}, "--weights: 2 weights for 3 files. Give one for each, in their order"),
        ({"weights": ["1", "nan", "1"]}, "--weights: expected numbers from 0 up, such as 2 or 0.5; got 'nan'"),
        ({"weights": ["1", "-1", "1"]}, "--weights: expected numbers from 0 up"),
        ({"weights": ["0", "0", "0"]}, "the files weigh 0 together"),
        ({"weights": ["1", "1e-30", "1"]}, "--weights 1 1e-30 1: too many digits to be added exactly. Round them"),
        ({"prefer": ["Ulna"]}, "--prefer Ulna: expected CLASS=FILE, such as Lunate="),
        ({"prefer": ["Ula=A.csv"]}, "--prefer Ula=A.csv: 'Ula' is not a class. Did you mean 'Ulna'"),
        ({"prefer": ["Ulna=F.csv"]}, "F.csv is not one of the files that vote. Write it as in --csv: .*A.csv, .*B.csv"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        vote_files(PATHS[:3], tmp_path / "o.csv", CLASSES, **settings)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_preferred_file_of_an_ambiguous_name_is_refused_and_its_path_is_not() -> None:
    paths = [Path("a/s.csv"), Path("b/s.csv")]
    with pytest.raises(UserError, match=r"s\.csv is the name of several files\. Write it as in --csv: a/s\.csv"):
        ballot_of(paths, CLASSES, "majority", [], ["Ulna=s.csv"])
    assert ballot_of(paths, CLASSES, "majority", [], ["Ulna=b/s.csv"]).weights[1].tolist() == [0, 1]


def test_one_file_and_the_same_file_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--csv A\.csv: one file is no vote"):
        vote_files(PATHS[:1], tmp_path / "o.csv", CLASSES)
    with pytest.raises(UserError, match=r"--csv: \./A\.csv is named twice|--csv: A\.csv is named twice"):
        vote_files([Path("A.csv"), Path("./A.csv")], tmp_path / "o.csv", CLASSES)


def test_images_that_one_file_lacks_are_named(tmp_path: Path) -> None:
    a = rows(tmp_path / "a.csv", "x.png,Radius,1 4", "y.png,Radius,1 4")
    b = rows(tmp_path / "b.csv", "y.png,Radius,1 4")
    with pytest.raises(UserError, match=r"b\.csv: 1 of 2 images have no rows, x\.png; .*a\.csv has them\. Name fi"):
        vote_files([b, a], tmp_path / "o.csv", ["Radius"])
    assert not (tmp_path / "o.csv").exists()


def test_masks_of_a_smaller_frame_are_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = np.ones((1, 20, 20, len(CLASSES)), np.bool_)
    a, b = write_masks(tmp_path / "a.csv", stack), write_masks(tmp_path / "b.csv", stack[:, ::2, ::2])
    vote_files([a, b], tmp_path / "o.csv", CLASSES)
    assert [record.args for record in caplog.records if record.levelno == logging.WARNING] == [(b,)]


def test_malformed_rows_are_told_by_file_and_row(tmp_path: Path) -> None:
    a, b = rows(tmp_path / "a.csv", "x.png,Radius,1 4"), rows(tmp_path / "b.csv", "x.png,Radius,4 1 2 1")
    with pytest.raises(UserError, match=r"b\.csv: row 2: number 3 of the rle, '2', is out of order or overlaps"):
        vote_files([a, b], tmp_path / "o.csv", ["Radius"])


def test_a_run_that_no_image_can_hold_is_refused(tmp_path: Path) -> None:
    a = rows(tmp_path / "a.csv", "x.png,Radius,1 5", "y.png,Radius,1 268435456")
    b = rows(tmp_path / "b.csv", "x.png,Radius,3 4", "y.png,Radius,2 268435456")
    with pytest.raises(UserError, match=r"b\.csv: y\.png: a run ends at pixel 268435457, past the end of the largest"):
        vote_files([a, b], tmp_path / "o.csv", ["Radius"])
    assert not (tmp_path / "o.csv").exists()
    vote_files([a, rows(tmp_path / "c.csv", "x.png,Radius,3 4", "y.png,Radius,")], tmp_path / "o.csv", ["Radius"])


def test_a_file_that_votes_is_never_overwritten(tmp_path: Path) -> None:
    a, b = rows(tmp_path / "a.csv", "x.png,Radius,1 4"), rows(tmp_path / "b.csv", "x.png,Radius,4 1")
    with pytest.raises(UserError, match=r"a\.csv: is read as well, and would be overwritten"):
        vote_files([a, b], tmp_path / "a.csv", ["Radius"])
    assert "1 4" in a.read_text()
