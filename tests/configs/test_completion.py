"""Shell completion: what bash offers for options, keys, choices and runs, without starting a program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.completion import FILE, choices_of
from tests.root import ROOT


@pytest.fixture(scope="module")
def script() -> str:
    command = [sys.executable, "-X", "importtime", "train.py", "--completion", "bash"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for heavy in ("torch", "numpy", "pydantic", "yaml"):
        assert f" {heavy}\n" not in done.stderr, f"{heavy} is imported"
    return done.stdout


def offered(script: str, line: str, folder: Path) -> list[str]:
    """What bash offers at the end of `line`, in a folder."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    ask = 'COMP_LINE="$1" COMP_POINT=${#1}; _carpus; printf "%s\\n" "${COMPREPLY[@]}"'
    command = [bash, "--norc", "-c", f"{script}\n{ask}", "bash", line]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python train.py --re", ["--resume"]),
        ("python train.py trainer.evaluate_every_", ["trainer.evaluate_every_steps="]),
        ("python train.py model.encoder_", [f"model.encoder_{name}=" for name in ("depth", "options", "weights")]),
        ("python train.py loss=dic", ["dice", "dice_bce"]),
        ("python train.py model.name=u2", ["u2net", "u2netp"]),
        (".venv/bin/python ./train.py seed=1 launcher=", ["local", "ray"]),
        ("python train.py trainer.deterministic=", ["true", "false"]),
        ("python train.py --resume runs/m", ["runs/mine"]),
        ("python train.py --completion ", ["bash", "zsh"]),
        ("python train.py seed=", []),
        ("python other.py lo", []),
    ],
)  # fmt: skip
def test_bash_offers(script: str, line: str, expected: list[str], tmp_path: Path) -> None:
    for name in ("mine", "first"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert offered(script, line, tmp_path) == expected


def test_without_runs_none_is_offered(script: str, tmp_path: Path) -> None:
    assert offered(script, "python train.py --resume ", tmp_path) == []


def test_every_key_and_choice_is_known() -> None:
    found = dict(choices_of(json.loads(FILE.read_text())))
    assert {
        "loss",
        "loss.name",
        "optimizer.lr",
        "data.root",
        "services.slack.channel",
        "predict.windows.size_px",
    } <= found.keys()
    assert {"lovasz", "mix"} <= set(found["loss"])
    assert found["run.if_exists"] == ["refuse", "replace"]
