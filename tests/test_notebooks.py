"""The example notebooks run from their first cell to their last, and say what they said when they were written."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

import carpus
from tests.root import ROOT
from tests.runtime.networks import small_for, write_described
from tests.runtime.test_predictor import photo

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"/(home|root|tmp|work|Users|mnt|data)/|\.local\b|Traceback")


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `make demo` and `make cutout` leave, with small networks in the place of their runs."""
    for run, task in (("pills", "foreground"), ("demo", "hand_bone")):
        (tmp_path / "runs").mkdir(exist_ok=True)
        write_described(tmp_path / "runs" / f"{run}.onnx", small_for(task), task)
    for place in ("datasets/pills/test/images", "datasets/demo/test/DCM/ID001"):
        (tmp_path / place).mkdir(parents=True)
        for number in range(4):
            pixels = photo(number) if "pills" in place else photo(number)[..., 0]
            cv2.imwrite(str(tmp_path / place / f"{number}.png"), pixels)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    load = carpus.load
    monkeypatch.setattr(carpus, "load", lambda path: load(f"{path}.onnx"))
    return tmp_path


def run(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell and return the value of its last line if that is an expression, as a notebook does."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_shows_what_it_is_to_show(
    notebook: Path, material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    names: dict[str, Any] = {}
    for cell in cells_of(notebook):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = run("".join(cell["source"]), names)
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert bool(printed.getvalue()) == ("stream" in kinds), cell["source"]
        assert (value is not None) == ("execute_result" in kinds), cell["source"]
        shown = {kind for output in cell["outputs"] for kind in output.get("data", {}) if kind.startswith("image/")}
        for kind in shown:
            assert getattr(value, f"_repr_{kind.removeprefix('image/')}_")(), cell["source"]
    shutil.rmtree(material)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_and_name_no_machine(notebook: Path) -> None:
    cells = cells_of(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "run all cells in order"
    said = json.dumps([[{**output, "data": None} for output in cell["outputs"]] for cell in cells])
    said += json.dumps([output.get("data", {}).get("text/plain") for cell in cells for output in cell["outputs"]])
    assert not OF_A_MACHINE.search(said)
    assert "image/png" in notebook.read_text(encoding="utf-8")
    assert notebook.stat().st_size < 600_000


def test_there_is_a_notebook_for_each_task() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["bones", "cutouts"]
