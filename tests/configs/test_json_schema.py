from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from configs.json_schema import COMMENT, FILE, text
from configs.loading.load import load
from configs.loading.yaml_reader import read_text
from configs.reference import sections
from configs.tables import REGISTRIES
from tests.root import RECIPES, ROOT
from utils.config.component import params_of
from utils.errors import UserError

SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def read(content: str) -> Any:
    node = read_text(content, "a.yaml", [])
    assert node is not None
    return node.plain()


def test_the_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run: python -m configs.reference"


def test_every_key_and_every_parameter_is_described() -> None:
    blocks = [key for _, section in sections() for key in section.model_fields]
    written = [key for found in [SCHEMA, *SCHEMA["$defs"].values()] for key in found.get("properties", {})]
    assert set(blocks) <= set(written)
    for kind, table in REGISTRIES.items():
        cases = {case["if"]["properties"]["name"]["const"]: case["then"]["$ref"] for case in cases_of(kind)}
        for name, builder in table().items():
            found = SCHEMA["$defs"][cases[name].removeprefix("#/$defs/")]["properties"]
            assert set(found) == {"name", *params_of(builder).model_fields}


def cases_of(kind: str) -> list[Any]:
    found: list[Any] = SCHEMA["$defs"][kind]["anyOf"][1]["allOf"]
    return found


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_recipes_fit_the_schema_that_they_name(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    named = content.splitlines()[0].removeprefix(COMMENT)
    assert (path.parent / named).resolve() == FILE.resolve()
    assert list(VALIDATOR.iter_errors(read(content))) == []


@pytest.mark.parametrize(
    "change",
    [
        *("trainer: {epoch: 3}", "trainer: {batch_size: 0}", "seed: many", "task: bones", "los: dice", "fold: [1, 1]"),
        *("loss: dyce", "loss: {name: dice, smoth: 1}", "loss: {name: mix, parts: [{loss: dyce}]}", "fold: '1;3'"),
        *("transform: {train: [{name: affine, rotate_deg: far}]}", "predict: {refine: sofd}"),
    ],
)
def test_what_the_loader_refuses_is_marked(change: str, tmp_path: Path) -> None:
    content = f"extends: {ROOT / 'configs' / 'smoke.yaml'}\n{change}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    assert list(VALIDATOR.iter_errors(read(content))) != []
    with pytest.raises(UserError):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        *("fold: all", "fold: 0,1", "fold: [0, 1]", "early_stopping: null", "optimizer: {lr: 1e-3}", "loss: dice"),
        *("predict: {refine: soft}", "predict: {refine: []}", "transform: {size_px: [64, 96]}"),
        "loss: {name: mix, parts: [{loss: dice, weight: 1}, {loss: {name: focal}, weight: 2}]}",
    ],
)
def test_what_the_loader_takes_is_not_marked(change: str, tmp_path: Path) -> None:
    content = f"extends: {ROOT / 'configs' / 'smoke.yaml'}\n{change}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    assert list(VALIDATOR.iter_errors(read(content))) == []
    load(path)
