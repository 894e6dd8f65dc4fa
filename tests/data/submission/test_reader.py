from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.films.reader import image_size
from data.masks import packed as masks
from data.masks.rle import decode
from data.polygons.layout import find_samples
from data.sample import Sample
from data.submission import rows as csv_rows
from data.submission.reader import read_submission, read_submissions
from data.submission.rows import HEADER
from data.submission.writer import SubmissionWriter
from utils.errors import UserError

CLASSES = ("Radius", "Ulna", "Lunate")
SIZE = (6, 8)


def sample(name: str, patient: str = "ID001") -> Sample:
    return Sample(name, patient, Path("nowhere") / name)


SAMPLES = [sample("image2_R.png"), sample("image2_L_b.png", "ID002"), sample("image1.png", "ID040")]


def mask(seed: int, size_hw: tuple[int, int] = SIZE) -> np.ndarray:
    """A packed mask whose last class is empty."""
    stack = np.random.default_rng(seed).random((*size_hw, 3)) < 0.5
    stack[..., 2] = False
    return masks.pack(stack)


def write_all(path: Path) -> None:
    with SubmissionWriter(path, SAMPLES, CLASSES, lambda _: SIZE) as writer:
        for seed, one in enumerate(SAMPLES):
            writer.write_mask(one.name, mask(seed))


def rows(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("".join(f"{line}\n" for line in (header, *lines)))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "submission.csv"
    write_all(path)
    submission = read_submission(path, CLASSES)
    assert submission.names == [one.name for one in SAMPLES]
    for seed, one in enumerate(SAMPLES):
        np.testing.assert_array_equal(decode(submission.of(one.name, SIZE), SIZE), mask(seed))


def test_rows_are_images_by_classes_and_an_empty_mask_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    write_all(path)
    lines = path.read_text().splitlines()
    assert lines[0] == "image_name,class,rle"
    assert [line.split(",")[:2] for line in lines[1:]] == [[one.name, label] for one in SAMPLES for label in CLASSES]
    assert lines[3] == "image2_R.png,Lunate,"
    assert [file.name for file in tmp_path.iterdir()] == ["submission.csv"]


def test_pandas_reads_the_same_table(tmp_path: Path) -> None:
    import pandas as pd

    write_all(tmp_path / "submission.csv")
    table = pd.read_csv(tmp_path / "submission.csv")
    assert list(table.columns) == ["image_name", "class", "rle"]
    assert table["rle"].isna().tolist() == [False, False, True] * 3


@pytest.mark.parametrize(
    ("name", "mask_of_image", "fault"),
    [
        ("image1.png", mask(0), r"image1\.png where image2_R\.png is next"),
        ("image2_R", mask(0), r"image2_R where image2_R\.png is next"),
        ("image2_R.png", mask(0, (8, 6)), r"masks of \(8, 6\) for an image of \(6, 8\)"),
    ],
)
def test_wrong_names_order_and_sizes_are_refused(
    tmp_path: Path, name: str, mask_of_image: np.ndarray, fault: str
) -> None:
    path = tmp_path / "submission.csv"
    with pytest.raises(ValueError, match=fault), SubmissionWriter(path, SAMPLES, CLASSES, lambda _: SIZE) as writer:
        writer.write_mask(name, mask_of_image)
    assert not list(tmp_path.iterdir())


def test_a_wrong_number_of_classes_and_runs_outside_are_refused(tmp_path: Path) -> None:
    run = np.array([[47, 1]])
    with SubmissionWriter(tmp_path / "s.csv", SAMPLES[:1], CLASSES, lambda _: SIZE) as writer:
        with pytest.raises(ValueError, match="2 masks for 3 classes"):
            writer.write("image2_R.png", [run, run], size_hw=SIZE)
        with pytest.raises(ValueError, match="ends at pixel 49"):
            writer.write("image2_R.png", [run, run, np.array([[48, 1]])], size_hw=SIZE)
        writer.write("image2_R.png", [run, run, run], size_hw=SIZE)
        with pytest.raises(ValueError, match="after all 1 images"):
            writer.write("image2_R.png", [run, run, run], size_hw=SIZE)


def test_an_incomplete_submission_never_takes_the_name(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("the one before")
    with (
        pytest.raises(ValueError, match="ended after 1 of 3"),
        SubmissionWriter(path, SAMPLES, CLASSES, lambda _: SIZE) as writer,
    ):
        writer.write_mask(SAMPLES[0].name, mask(0))
    assert path.read_text() == "the one before"
    assert [file.name for file in tmp_path.iterdir()] == ["submission.csv"]


@pytest.mark.parametrize("samples", [SAMPLES[::-1], [SAMPLES[0], sample("image2_R.png", "ID009")]])
def test_samples_out_of_order_or_of_equal_names_are_refused(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="sorted by"):
        SubmissionWriter(tmp_path / "s.csv", samples, CLASSES, image_size)


def test_sizes_are_those_of_the_images_themselves(tmp_path: Path, split_dir: Path) -> None:
    samples = find_samples(split_dir, labelled=False)[:1]
    with SubmissionWriter(tmp_path / "s.csv", samples, CLASSES, image_size) as writer:
        with pytest.raises(ValueError, match=r"masks of \(32, 32\) for an image of \(64, 64\)"):
            writer.write_mask(samples[0].name, mask(0, (32, 32)))
        writer.write_mask(samples[0].name, mask(0, (64, 64)))


def test_rows_are_joined_by_name_and_class_never_by_position(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "s.csv", "b.png,Lunate,3 1", "a.png,Ulna,", "b.png,Radius,1 1", "a.png,Lunate,", "a.png,Radius,9 1"
    )
    with path.open("a") as file:
        file.write("b.png,Ulna,2 1")
    runs = read_submission(path, CLASSES).runs
    assert [one.tolist() for one in runs["b.png"]] == [[[0, 1]], [[1, 1]], [[2, 1]]]
    assert [one.tolist() for one in runs["a.png"]] == [[[8, 1]], [], []]


def test_quotes_windows_line_ends_and_a_byte_order_mark_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b'\xef\xbb\xbf"image_name","class","rle"\r\n"a_R.png","Radius","1 2"\r\n\r\n')
    assert read_submission(path, ["Radius"]).runs["a_R.png"][0].tolist() == [[0, 2]]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["a.png,Radius,1 1", "a.png,Radius,1 1"], r"row 3: a second row for a\.png, Radius"),
        (["a.png,Radus,1 1"], "row 2: 'Radus' is not a class. Did you mean 'Radius'?"),
        (["a.png,Radius"], "row 2: 'a.png,Radius' is not of the form image_name,class,rle"),
        (["0,a.png,Radius,1 1"], "row 2: '0,a.png,Radius,1 1' is not of the form"),
        ([",Radius,1 1"], "row 2: .* is not of the form"),
        (["a.png,Radius,1 1", "a.png,Ulna,1 2 x"], "row 3: number 3 of the rle, 'x', is not a positive whole"),
        (
            ["a.png,Radius,1 2 3"],
            "row 2: number 3 of the rle, '3', is a start without a length. Expected 'start length",
        ),
        (["a.png,Radius,5 1 1 1"], "row 2: number 3 of the rle, '1', is out of order or overlaps"),
        (["a.png,Radius,1 5 3 1"], "row 2: number 3 of the rle, '3', is out of order or overlaps"),
        (["a.png,Radius,1 -5"], "row 2: number 2 of the rle, '-5', is not a positive"),
        (["a.png,Radius,4 0"], "row 2: number 2 of the rle, '0', is not a positive"),
        (["a.png,Radius,1.0 5.0"], "row 2: number 1 of the rle, '1.0', is not a positive"),
        ([f"a.png,Radius,1{'0' * 30} 5"], "row 2: number 1 of the rle, '10{30}', is larger than any image"),
        (["a.png,Radius,nan"], "row 2: number 1 of the rle, 'nan', is not a positive"),
        (["a.png,Radius,1 1,2"], "row 2: 'a.png,Radius,1 1,2' is not of the form"),
        (['a.png,Radius,"1,2"'], "row 2: a quote that is not closed in its cell"),
        (["a.png,Radius,1 1", 'b".png,Radius,1 1'], "row 3: a quote that is not closed in its cell"),
        ([""], "no rows below the header"),
        (["a.png,Radius,1 1"], "no row for a.png, Ulna; a.png, Lunate. Write a row for every class"),
    ],
)
def test_faulty_rows_are_refused_by_file_and_row(tmp_path: Path, lines: list[str], fault: str) -> None:
    with pytest.raises(UserError, match=rf"s\.csv: {fault}"):
        read_submission(rows(tmp_path / "s.csv", *lines), CLASSES)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("runs", [3, 40_000])
def test_quoted_cells_may_be_of_any_length_and_lines_may_end_as_they_like(
    tmp_path: Path, ending: str, runs: int
) -> None:
    text = " ".join(f"{start} 1" for start in range(1, 2 * runs, 2))
    (tmp_path / "s.csv").write_bytes(f'{HEADER}{ending}a.png,"Radius","{text}"{ending}{ending}  {ending}'.encode())
    assert len(read_submission(tmp_path / "s.csv", ["Radius"]).runs["a.png"][0]) == runs


@given(st.lists(st.sampled_from([b"a", b",", b"\n", b"\r", b"\r\n", b"1" * 255, b"2" * 256])).map(b"".join))
def test_lines_and_commas_are_found_where_they_are(content: bytes) -> None:
    found = np.empty((len(content) + 1, 5), np.int64)
    lines = found[: csv_rows._find_lines(np.frombuffer(content, np.uint8), found)].tolist()
    assert [content[begin:end] for begin, _, _, _, end in lines] == content.splitlines()
    for begin, first, second, commas, end in lines:
        places = [place for place in range(begin, end) if content[place] == ord(",")]
        assert commas == len(places)
        assert [first, second][: min(commas, 2)] == places[:2]


def test_several_files_are_read_in_their_order(tmp_path: Path) -> None:
    paths = [rows(tmp_path / f"{start}.csv", f"a.png,Radius,{start} 1") for start in range(1, 8)]
    submissions = read_submissions(paths, ["Radius"])
    assert [one.runs["a.png"][0].tolist() for one in submissions] == [[[start - 1, 1]] for start in range(1, 8)]
    assert [one.path for one in submissions] == paths


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty. A submission begins with"),
        (b"\n \n", "the file is empty"),
        (b"image,class,rle\n", "row 1: the header is 'image,class,rle', expected 'image_name,class,rle'. Is it a sub"),
        (b"image_name,class,rle,score\n", "row 1: the header is 'image_name,class,rle,score'"),
        (b"image_name;class;rle\n", "row 1: the header is"),
        (b",image_name,class,rle\n", "row 1: the header .* Write it without an index column .pandas: index=False"),
        (HEADER.encode("utf-16"), "byte 1 is no UTF-8 text. Is it a CSV"),
        (bytes(range(256)), "byte 129 is no UTF-8 text"),
        (b'image_name,class,rle\n"a.png', "row 2: a quote"),
    ],
)
def test_a_file_that_is_no_submission_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"s\.csv: {fault}"):
        read_submission(path, CLASSES)


def test_a_folder_is_no_submission(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder\. Name a CSV file, such as .*submission\.csv"):
        read_submission(tmp_path, CLASSES)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.csv: the submission cannot be read"):
        read_submission(tmp_path / "absent.csv", CLASSES)


def test_runs_outside_the_image_and_unknown_images_are_refused(tmp_path: Path) -> None:
    submission = read_submission(rows(tmp_path / "s.csv", "image1.png,Radius,48 2"), ["Radius"])
    with pytest.raises(UserError, match=r"image1\.png, Radius: a run ends at pixel 49, outside the image of 6 x 8"):
        submission.of("image1.png", SIZE)
    with pytest.raises(UserError, match=r"no rows for image 'image1'\. Did you mean 'image1\.png'"):
        submission.of("image1", SIZE)
