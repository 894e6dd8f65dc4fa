from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.loading.load import as_dict, dump, from_mapping, load
from configs.schema import Config
from tests.root import ROOT
from utils.errors import UserError

SMOKE = ROOT / "configs" / "smoke.yaml"


def config_of(fold: str, *more: str) -> Config:
    return load(SMOKE, [f"fold={fold}", "data.folds=5", "run.folder=runs", *more])


@pytest.mark.parametrize(
    ("written", "read"),
    [("0", 0), ("4", 4), ("1e0", 1), ("1,3", (1, 3)), ("4, 0,2", (4, 0, 2)), ("[2]", (2,)), ("all", "all")],
)
def test_one_fold_several_and_all_can_be_said(written: str, read: object) -> None:
    config = config_of(written)
    assert config.fold == read
    assert from_mapping(as_dict(config)) == config


def test_a_dumped_config_of_one_of_several_folds_loads_to_the_same(tmp_path: Path) -> None:
    config = config_of("all").of_fold(2)
    (tmp_path / "config.yaml").write_text(dump(config))
    assert load(tmp_path / "config.yaml") == config


def test_a_fold_alone_lies_in_the_runs_folder_and_one_of_several_below_it() -> None:
    assert (config_of("3").held_out, config_of("3").folder, config_of("3").title) == (3, Path("runs/smoke"), "smoke")
    several = config_of("all").of_fold(3)
    assert (several.held_out, several.folder, several.title) == (3, Path("runs/smoke/fold3"), "smoke/fold3")


@pytest.mark.parametrize("fold", ["all", "0,1"])
def test_what_needs_one_fold_says_so(fold: str) -> None:
    with pytest.raises(UserError, match=r"fold: speaks of several folds .* where one is needed"):
        _ = config_of(fold).held_out


@pytest.mark.parametrize("fold", ["-1", "0.5", "x", "true", "null", "[]", "[a]", "[[1]]", ".inf", "1,,2", "{a: 1}"])
def test_anything_else_is_reported_with_what_was_expected(fold: str) -> None:
    with pytest.raises(UserError, match=r"fold=.*: expected a fold's number, several such as 1,3, or all, got "):
        config_of(fold)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        ("5", "expected 0 to 4, for data.folds is 5; got 5"),
        ("0,7", "expected 0 to 4, for data.folds is 5; got 7"),
        ("[1, 1]", "1 is given more than once"),
    ],
)
def test_folds_that_are_not_there_or_twice_are_refused(fold: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config_of(fold)


def test_with_files_their_names_say_which_folds_there_are() -> None:
    assert config_of("7", "data.fold_files=folds").fold == 7


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "many"])
def test_a_weight_that_cannot_be_is_refused(weight: Any) -> None:
    with pytest.raises(UserError, match="bent_weight"):
        config_of("0", f"data.bent_weight={weight}")
