"""`make setup` refuses what cannot work in one sentence, before it installs anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def fake_python(path: Path, change: str) -> Path:
    """A Python that runs `change` before whatever it is asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    changes = path.with_name(f"{path.name}-changes")
    changes.mkdir()
    (changes / "sitecustomize.py").write_text(f"import sys\n{change}\n")
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{changes}" exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


def refusal(folder: Path, python: Path | str) -> str:
    """What `make setup` says in a copy of the project when it ends with an error."""
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (folder / name).touch()
    command = ["make", "--no-print-directory", "setup", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("make setup: ")]
    return sentence


@pytest.mark.parametrize("version", ["2.7.18", "3.10.19", "3.15.0"])
def test_a_python_that_is_too_old_or_too_new_is_refused(version: str, tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python3", f"sys.version_info = ({version.replace('.', ', ')})")
    assert refusal(tmp_path, python) == (
        f"make setup: {python} is Python {version} and Carpus needs 3.11 to 3.14; "
        "name another: make PYTHON=python3.12 setup"
    )


@pytest.mark.parametrize(("module", "lack"), [("venv", "no module venv"), ("ensurepip", "no pip for .venv")])
def test_a_python_without_venv_or_pip_is_refused(module: str, lack: str, tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python3", f"sys.modules[{module!r}] = None")
    assert refusal(tmp_path, python).startswith(
        f"make setup: {python} has {lack}; on Debian and Ubuntu: apt install python3-venv; or name another: "
    )


def test_a_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no python3.99 here; name another: make PYTHON=" in refusal(tmp_path, "python3.99")


def test_a_venv_of_an_older_python_is_refused_and_left_alone(tmp_path: Path) -> None:
    fake_python(tmp_path / ".venv" / "bin" / "python", "sys.version_info = (3, 10, 19)")
    sentence = refusal(tmp_path, sys.executable)
    assert sentence == "make setup: .venv has Python 3.10.19 and Carpus needs 3.11 to 3.14; remove it: rm -rf .venv"
    assert (tmp_path / ".venv" / "bin" / "python").exists()


def test_a_pip_that_fails_is_reported_with_the_way_to_a_mirror(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python3", "")
    (tmp_path / "python3-changes" / "venv.py").touch()
    fake_python(tmp_path / ".venv" / "bin" / "python", "sys.modules['pip'] = None")
    assert "set PIP_INDEX_URL and UV_DEFAULT_INDEX" in refusal(tmp_path, python)
    assert not (tmp_path / ".venv" / ".ready").exists()


def test_a_linked_venv_is_named_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "kept")
    assert refusal(tmp_path, sys.executable).startswith(f"make setup: .venv is a link to {tmp_path / 'kept'} and ")
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize(
    ("trained", "served"),
    [((), "u2netp"), (("demo",), "hands"), (("pills",), "pills"), (("demo", "pills"), "hands pills")],
)
def test_make_serve_exports_and_serves_what_the_demos_have_trained(
    trained: tuple[str, ...], served: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for file in ("requirements.txt", "requirements-dev.txt", ".venv/.ready", "weights/u2netp.safetensors"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    for run in trained:
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "finished.json").touch()
    done = subprocess.run(["make", "--no-print-directory", "-n", "serve"], cwd=tmp_path, capture_output=True, text=True)
    models = [f"weights/{name}.onnx" for name in served.split()]
    *exports, command = done.stdout.splitlines()
    assert [line.split()[-1] for line in exports if "export.py" in line] == models
    assert command.endswith(f"serve.py --model {' --model '.join(models)} --port 8000")
