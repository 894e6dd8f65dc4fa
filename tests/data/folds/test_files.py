from __future__ import annotations

from pathlib import Path

import pytest

from data.folds.files import fold_numbers, split_by_file, write_fold_files
from data.sample import Sample
from utils.errors import UserError

SAMPLES = [Sample(f"image{n}_{side}.png", f"ID{n:03}", Path("x")) for n in range(3) for side in "RL"]
HEADER = "image_name,json_name,split,fold"
ROWS = [f"{s.key},{s.key[:-4]}.json,{'val' if s.group == 'ID001' else 'train'},0" for s in SAMPLES]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[str], header: str = HEADER, name: str = "fold_0.csv") -> None:
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def held_out(folder: Path, fold: int = 0) -> list[str]:
    return [sample.key for sample in split_by_file(SAMPLES, folder, fold, noun="patient")[1]]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_fold_files(tmp_path / "folds", SAMPLES, {"ID000": 0, "ID001": 1, "ID002": 2}, 3)
    for fold in range(3):
        train, valid = split_by_file(SAMPLES, tmp_path / "folds", fold)
        assert [sample.group for sample in valid] == [f"ID00{fold}"] * 2
        assert [sample for sample in SAMPLES if sample in train] == train
        assert len(train) == 4


@pytest.mark.parametrize(
    "write_row",
    [
        lambda row: row,
        lambda row: row.replace("ID001/", "").replace("ID000/", "").replace("ID002/", ""),
        lambda row: "/data/train/DCM/" + row.replace(",ID", ",/data/train/outputs_json/ID"),
        lambda row: row.replace("/", "\\"),
        lambda row: row.replace(",val,", ", VAL ,"),
        lambda row: row.replace(",val,", ",valid,"),
        lambda row: row + ",more",
    ],
    ids=["ours", "base names", "paths", "backslashes", "capitals", "valid", "a further column"],
)
def test_files_from_elsewhere_load(write_row: object, tmp_path: Path) -> None:
    assert callable(write_row)
    rows = [write_row(row) for row in reversed(ROWS)]
    write(tmp_path, rows, HEADER + (",note" if rows[0].endswith("more") else ""), "fold_01.csv")
    assert held_out(tmp_path, 1) == ["ID001/image1_R.png", "ID001/image1_L.png"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "fold_0.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, *ROWS]).encode())
    assert len(held_out(tmp_path)) == 2


def test_rows_of_images_that_are_left_out_pass(folder: Path) -> None:
    train, valid = split_by_file(SAMPLES[2:], folder, 0, {sample.name for sample in SAMPLES[:2]})
    assert (len(train), len(valid)) == (2, 2)


FAULTS: dict[str, tuple[list[str], str, str]] = {
    "no columns": (ROWS, "image,label", r"fold_0\.csv: lacks the column image_name, json_name, split, fold\."),
    "one column less": (
        [row.rsplit(",", 1)[0] for row in ROWS],
        "image_name,json_name,split",
        r"lacks the column fold\. The first line must be image_name,json_name,split,fold",
    ),
    "empty": ([], "", "lacks the column"),
    "a short row": ([*ROWS[:2], "ID001/image1_R.png"], HEADER, r"fold_0\.csv:4: has not as many cells"),
    "another side": (["ID000/image0_R.png,,test,0"], HEADER, r":2: split is 'test', expected train or val"),
    "no name": ([",,val,0"], HEADER, ":2: image_name is empty"),
    "another label": (
        ["ID000/image0_R.png,ID000/image0_L.json,val,0"],
        HEADER,
        r":2: ID000/image0_L\.json is not the label of ID000/image0_R\.png",
    ),
    "twice": ([*ROWS, ROWS[1]], HEADER, r"image0_L\.png occurs twice, on lines 3 and 8"),
    "unknown": (
        [*ROWS, "ID009/image9.png,,train,0"],
        HEADER,
        r"1 images are not in the data, ID009/image9\.png\. Was it written for other data",
    ),
    "another patient": ([ROWS[0].replace("ID000", "ID009"), *ROWS[1:]], HEADER, "not in the data, ID009/image0_R"),
    "missing": (ROWS[:4], HEADER, r"2 images of the data are in no row, ID002/image2_R\.png, ID002/image2_L\.png"),
    "a patient on both sides": (
        [ROWS[0].replace("train", "val"), *ROWS[1:]],
        HEADER,
        r"ID000 in both train and val, so the score would be of patients that were trained on",
    ),
    "nothing held out": ([row.replace(",val,", ",train,") for row in ROWS], HEADER, "no image in val"),
    "nothing to train on": ([row.replace(",train,", ",val,") for row in ROWS], HEADER, "no image in train"),
    "an open quote": (['"ID000/image0_R.png,,val,0'], HEADER, "cannot be read as CSV"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_file_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    rows, header, sentence = FAULTS[name]
    write(tmp_path, rows, header)
    with pytest.raises(UserError, match=sentence) as told:
        held_out(tmp_path)
    assert "\n" not in str(told.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "fold_0.csv").write_bytes(HEADER.encode() + b"\n\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        held_out(tmp_path)


def test_a_fold_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    write(folder, ROWS, name="fold_10.csv")
    assert fold_numbers(folder) == (0, 10)
    with pytest.raises(UserError, match=r"has no fold_3\.csv\. There are 0, 10\."):
        held_out(folder, 3)


@pytest.mark.parametrize(("name", "sentence"), [("nothing", "no such folder"), ("", r"holds no fold_<n>\.csv")])
def test_a_folder_without_folds_is_told(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        fold_numbers(tmp_path / name)


def test_two_files_of_one_number_are_refused(folder: Path) -> None:
    write(folder, ROWS, name="fold_00.csv")
    with pytest.raises(UserError, match="two files have the same number"):
        fold_numbers(folder)


def test_files_that_runs_may_depend_on_never_change(folder: Path) -> None:
    before = (folder / "fold_0.csv").read_text()
    with pytest.raises(UserError, match=r"fold_0\.csv: is a file of other folds"):
        write_fold_files(folder, SAMPLES, {"ID000": 0, "ID001": 1, "ID002": 1}, 2)
    assert (folder / "fold_0.csv").read_text() == before
    assert not (folder / "fold_1.csv").exists()


def test_files_of_more_folds_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    write(tmp_path, ROWS, name="fold_7.csv")
    with pytest.raises(UserError, match=r"fold_7\.csv: is a file of other folds"):
        write_fold_files(tmp_path, SAMPLES, {"ID000": 0, "ID001": 1, "ID002": 1}, 2)
