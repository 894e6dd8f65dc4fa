"""Imports point down and siblings never meet; see docs/architecture.md."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.root import ROOT

PROGRAM_FILES = {"train", "inference", "evaluate", "export", "K-fold_ensemble", "carpus", "serve"}
LAYERS = (
    {"utils"},
    {"data", "transform", "loss", "models", "scheduler", "services"},
    {"configs"},
    {"runtime"},
    {"trainer", "web"},
    {*PROGRAM_FILES, "benchmarks"},
)
LEVELS = (
    {"records", "prediction", "distributed", "split"},
    {"evaluation", "input_sizes"},
    {"training", "drawing"},
    {"build", "evaluate", "crossval", "review", "torch_errors"},
    {"trained", "compare", "provenance"},
    {"inference", "report"},
    {"runs", "thresholds", "soup", "checkpoints"},
    {"ensemble", "search", "measure", "augmentation", "one_image", "compare_cutouts", "export"},
    {"publish"},
)
"""The folders and modules of `trainer/`, lowest level first: each imports from levels below its own."""
LEVEL_OF = {part: number for number, level in enumerate(LEVELS) for part in level}
PROGRAMS = ("services/check.py", "services/flush.py")
"""Programs of the top layer that stand beside what they show. Nothing imports them."""
LAYER_OF = {package: number for number, layer in enumerate(LAYERS) for package in layer}
HEAVY = (
    *("accelerate", "albumentations", "matplotlib", "mlflow", "mujoco", "pandas"),
    *("segmentation_models_pytorch", "sklearn", "timm", "slack_sdk", "gspread", "requests", "apprise", "cryptography"),
)

LIGHT = ("data.task", "transform", "loss", "models", "scheduler", "configs.schema", "services.delivery.publisher")


def sources() -> list[Path]:
    files = [path for package in LAYER_OF for path in (ROOT / package).rglob("*.py")]
    return sorted([*files, *ROOT.glob("*.py")])


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its layer"
            found.append(node.module or "")
    return tuple(found)


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_and_siblings_never_meet(path: Path) -> None:
    if str(path.relative_to(ROOT)) in PROGRAMS:
        return
    mine = package_of(path)
    for module in imports_of(path):
        assert f"{module.replace('.', '/')}.py" not in PROGRAMS, f"{path} imports the program {module}"
        other = module.split(".")[0]
        if other in LAYER_OF and other != mine:
            assert LAYER_OF[other] < LAYER_OF[mine], f"{path} imports {module}"


def trainer_modules() -> list[Path]:
    return sorted(path for path in (ROOT / "trainer").rglob("*.py") if path != ROOT / "trainer" / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "trainer").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", trainer_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_within_the_trainer_point_to_lower_levels(path: Path) -> None:
    mine = part_of(path)
    for module in imports_of(path):
        top, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if top == "trainer" and other != mine:
            assert LEVEL_OF[other] < LEVEL_OF[mine], f"{path} imports {module}, which is not on a lower level"


def test_every_part_of_the_trainer_has_a_level() -> None:
    assert {part_of(path) for path in trainer_modules()} == LEVEL_OF.keys()


def test_every_top_level_package_has_a_layer() -> None:
    packages = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert packages - {"tests"} <= LAYER_OF.keys()


def test_importing_a_package_loads_nothing_heavy_and_makes_no_folder(tmp_path: Path) -> None:
    code = (
        "import sys, importlib, logging\n"
        f"for name in {LIGHT!r}:\n"
        "    importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], logging.getLogger().handlers)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[] []", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_scoring_and_voting_load_nothing_that_takes_longer_than_their_work() -> None:
    slow = (*HEAVY, "torch", "pydantic", "rich", "jinja2")
    modules = "data.task, data.submission.vote, trainer.evaluate"
    code = f"import sys, {modules}; print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_another_package_of_the_same_name_later_on_the_path_is_not_imported(tmp_path: Path) -> None:
    packages = sorted(LAYER_OF.keys() - PROGRAM_FILES)
    for package in packages:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('the wrong package was imported')\n")
    code = (
        "from importlib.util import find_spec\n"
        f"print([find_spec(name).origin for name in {packages!r}])\n"
        "import utils.errors\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([str(ROOT / package / "__init__.py") for package in packages])
