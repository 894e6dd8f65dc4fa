from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from configs.loading.load import from_mapping, load
from tests.root import RECIPES, ROOT

CONFIGS = ROOT / "configs"
LISTED = subprocess.run(["git", "ls-files", "*.yaml"], cwd=CONFIGS, capture_output=True, text=True, check=False).stdout
SHIPPED = [path for name in LISTED.splitlines() if (path := CONFIGS / name) in RECIPES]
"""Files that are not in git must load too, but may look as they like; without git there are none to check."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_parts_build(path: Path) -> None:
    config = load(path, without_weights(path))
    config.loss.build()
    for step in (*config.transform.train, *config.transform.evaluate):
        step.build()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_recipe_begins_with_its_purpose_and_command(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    assert all(line.startswith("#") for line in head)
    commands = "python train.py", "python inference.py", "make "
    assert any(command in line for line in head for command in commands)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_recipe_is_named_as_its_file(path: Path) -> None:
    assert load(path, without_weights(path)).run.name == path.stem


def without_weights(path: Path) -> list[str]:
    """Override the weights of a recipe that has them fetched first."""
    return ["model.weights=null"] if "models.fetch" in path.read_text(encoding="utf-8") else []


def test_recipes_for_any_machine_need_no_network_and_no_contest_data() -> None:
    for name in ("demo", "smoke"):
        config = load(CONFIGS / f"{name}.yaml")
        assert config.model.as_dict()["encoder_weights"] in (None, "lite0")
        assert config.data.root == Path("datasets") / name


def test_a_recipe_takes_overrides() -> None:
    config = load(CONFIGS / "base_train.yaml", ["trainer.epochs=30", "loss=tversky", "optimizer.lr=1e-4"])
    assert (config.trainer.epochs, config.loss.name, config.optimizer.as_dict()["lr"]) == (30, "tversky", 1e-4)
    assert from_mapping(config.model_dump(mode="json")) == config
