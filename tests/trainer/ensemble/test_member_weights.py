from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.ensemble.member_weights import read_weights
from utils.errors import UserError

RUNS = [Path("runs/a"), Path("runs/b")]
CLASSES = ("Radius", "Ulna", "Pisiform")


def from_file(tmp_path: Path, content: Any) -> np.ndarray:
    path = tmp_path / "weights.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_weights([str(path)], RUNS, CLASSES)


def test_without_weights_all_runs_count_alike() -> None:
    assert read_weights([], RUNS, CLASSES).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_numbers_stand_in_the_order_of_the_runs() -> None:
    assert read_weights(["2", "0.5"], RUNS, CLASSES).tolist() == [[2, 2, 2], [0.5, 0.5, 0.5]]


def test_a_file_may_give_a_weight_for_each_class(tmp_path: Path) -> None:
    said = {"runs/b/": {"default": 0, "Pisiform": 3}, "runs/a": 2}
    assert from_file(tmp_path, said).tolist() == [[2, 2, 2], [0, 0, 3]]
    said = {"runs/a": {"Ulna": 0}, "runs/b": {}}
    assert from_file(tmp_path, said).tolist() == [[1, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["1"], "expected a number for each of the 2 runs, or one file; got 1"),
        (["1", "2", "3"], "expected a number for each of the 2 runs, or one file; got 3"),
        (["1", "-2"], "'-2': expected a weight of 0 or more, got -2"),
        (["1", "nan"], "'nan': expected a weight of 0 or more"),
        (["1", "inf"], "'inf': expected a weight of 0 or more"),
        (["1", "x"], "'x': expected a weight of 0 or more"),
        (["0", "0"], "no run counts for Radius. Give one of them a weight above 0"),
        (["nowhere.json"], "nowhere.json: cannot be read .* --weights takes a number for each run, or a file"),
    ],
)
def test_other_weights_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_weights(texts, RUNS, CLASSES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ([1, 2], "expected a weight for each run. Write "),
        ({"runs/a": 1}, r"has no weight for runs/b\. Add one, or 0 to leave a run out"),
        ({"runs/a": 1, "runs/b": 1, "runs/c": 1}, "'runs/c' is not among --runs. Did you mean 'runs/"),
        ({"runs/a": 1, "runs/b": {"Pisform": 2}}, "runs/b: 'Pisform' is not a class of this task. .*'Pisiform'"),
        ({"runs/a": 1, "runs/b": {"Ulna": "much"}}, "runs/b: Ulna: expected a weight of 0 or more, got 'much'"),
        ({"runs/a": 10**400, "runs/b": 1}, "runs/a: expected a weight of 0 or more, got 1000"),
        ({"runs/a": True, "runs/b": 1}, "runs/a: expected a weight of 0 or more, got true"),
        ({"runs/a": {"Ulna": 0}, "runs/b": {"Ulna": 0}}, "no run counts for Ulna"),
    ],
)
def test_other_files_are_refused(content: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        from_file(tmp_path, content)
