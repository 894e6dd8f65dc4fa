"""Paths of a config: `~`, `$HOME`, and relative ones, in whatever folder a program is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.loading.load import from_mapping, load
from tests.configs.test_recipes import without_weights
from tests.root import RECIPES, ROOT
from utils.errors import UserError

MODEL = {"run": {"name": "x"}, "model": {"name": "unet"}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_home_is_expanded_in_files_and_arguments(home: Path) -> None:
    data = {"root": "~/hands", "fold_files": "$HOME/folds", "extra_roots": [{"root": "${HOME}/pseudo"}]}
    config = from_mapping({**MODEL, "data": data}, overrides=["run.folder=~/runs"])
    assert config.data.root == home / "hands"
    assert config.data.fold_files == home / "folds"
    assert config.data.extra_roots[0].root == home / "pseudo"
    assert config.run.folder == home / "runs"


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(UserError, match=r"\$NO_SUCH is no environment variable"):
        from_mapping({**MODEL, "data": {"root": "$NO_SUCH/hands"}})
    with pytest.raises(UserError, match=r"\$NO_SUCH is no environment variable"):
        from_mapping(MODEL, overrides=["data.root=$NO_SUCH/hands"])


def test_a_recipe_means_the_projects_folder_and_an_argument_that_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke = ROOT / "configs" / "smoke.yaml"
    assert load(smoke).data.root == Path("datasets/smoke")
    monkeypatch.chdir(tmp_path)
    config = load(smoke, ["run.folder=mine"])
    assert config.data.root == ROOT / "datasets" / "smoke"
    assert config.run.folder == tmp_path / "mine"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_with_data_of_its_own_says_what_makes_them(recipe: Path) -> None:
    data = load(recipe, without_weights(recipe)).data
    of_others = "downloaded by hand" in recipe.read_text()
    assert (data.made_by is not None) == (data.root != Path("datasets") and not of_others)
    assert data.made_by is None or data.made_by in recipe.read_text().split("run:")[0]
