from __future__ import annotations

from pathlib import Path

import pytest

from data.hand_bone.task import hand_bone
from utils.doctor.dataset import FileCounts, check_counts, count_files
from utils.doctor.disk import (
    OutputFolder,
    check_cache,
    check_folder,
    hub_cache,
    look_at_folder,
    nearest_folder,
    trial_error,
)

RUNS = Path("runs")


@pytest.mark.parametrize(
    ("place", "level"),
    [
        (OutputFolder("runs", RUNS, 50_000, 10**6), "ok"),
        (OutputFolder("runs", RUNS, 5_000, 10**6), "warning"),
        (OutputFolder("runs", RUNS, 500, 10**6), "problem"),
        (OutputFolder("runs", RUNS, 50_000, 3), "problem"),
        (OutputFolder("runs", RUNS, 50_000, None), "ok"),
        (OutputFolder("runs", RUNS, 50_000, 10**6, "Read-only file system"), "problem"),
    ],
)
def test_room_file_slots_and_writing_are_judged(place: OutputFolder, level: str) -> None:
    found = check_folder(place, scarce_mib=1024, tight_mib=10240)
    assert found.level == level
    assert bool(found.remedy) is (level != "ok")


def test_a_folder_that_will_be_made_is_tried_where_it_will_be_made(tmp_path: Path) -> None:
    place = look_at_folder("runs", tmp_path / "runs" / "deep")
    assert place.error == ""
    assert place.free_mib > 0
    assert nearest_folder(tmp_path / "runs" / "deep") == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_writing_is_tried_and_a_refusal_is_reported(tmp_path: Path) -> None:
    assert trial_error(tmp_path) == ""
    assert trial_error(tmp_path / "nothing") == "No such file or directory"
    assert trial_error(Path("/proc")) != ""


def test_a_cache_that_cannot_be_written_names_the_variable() -> None:
    found = check_cache(OutputFolder("cache", Path("/home/user/.cache"), 100, error="Read-only file system"))
    assert (found.level, "HF_HOME" in found.remedy) == ("warning", True)
    assert check_cache(OutputFolder("cache", Path("/home/user/.cache"), 100)).level == "warning"


def test_the_cache_is_where_the_hub_looks() -> None:
    assert hub_cache({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "HOME": "/c"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/b", "HOME": "/c"}) == Path("/b/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/d", "HOME": "/c"}) == Path("/d/huggingface/hub")
    assert hub_cache({"HOME": "/c"}) == Path("/c/.cache/huggingface/hub")


def test_a_data_set_is_counted(tmp_path: Path) -> None:
    for name in (
        "train/DCM/ID001/a.png",
        "train/outputs_json/ID001/a.json",
        "test/DCM/ID002/b.PNG",
        "test/DCM/ID002/x",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = count_files(tmp_path)
    assert found == FileCounts(tmp_path, 1, 1, 1, hand_bone.layout.described)
    assert check_counts(found, []).level == "ok"


def test_no_data_set_is_a_warning_with_both_ways_to_one() -> None:
    found = check_counts(FileCounts(Path("datasets")), ["datasets/demo"])
    assert found.level == "warning"
    assert "datasets/demo" in found.text
    assert "make demo" in found.remedy
    assert "place the data there" in found.remedy


def test_images_without_labels_are_sent_to_the_check() -> None:
    found = check_counts(FileCounts(Path("datasets"), 800, 799, 288), [])
    assert (found.level, "python -m data.check datasets names" in found.remedy) == ("warning", True)
