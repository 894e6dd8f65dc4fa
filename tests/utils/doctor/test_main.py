"""The doctor as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.contest import write_split
from tests.root import ROOT


def call(*arguments: object, folder: Path, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, *flags, "-m", "utils.doctor", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_machine_and_config_are_looked_at_from_another_folder(tmp_path: Path) -> None:
    write_split(tmp_path / "data" / "train", patients=4)
    config = ("--config", ROOT / "configs" / "smoke.yaml", f"data.root={tmp_path / 'data'}")
    done = call(*config, "--json", tmp_path / "found.json", folder=tmp_path)
    findings = json.loads((tmp_path / "found.json").read_text())
    topics = [finding["topic"] for finding in findings]
    wanted = ["Python", "packages", "torch", "cores", "runs", "temporary", "data set", "loading", "step", "time"]
    assert [topic for topic in topics if topic in wanted] == wanted, done.stdout
    assert done.returncode == (2 if any(finding["level"] == "problem" for finding in findings) else 0), done.stdout
    assert done.stderr == ""
    assert all(len(line) <= 80 or str(tmp_path) in line for line in done.stdout.splitlines())  # paths stay whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "found.json"]


def test_it_runs_where_nothing_is_installed(tmp_path: Path) -> None:
    done = call(folder=tmp_path, flags=("-S",))
    assert done.returncode == 2
    assert done.stderr == ""
    assert "are missing: " in done.stdout


def test_settings_without_a_config_are_refused(tmp_path: Path) -> None:
    done = call("trainer.epochs=3", folder=tmp_path)
    assert done.returncode == 2
    assert "belong to a --config FILE" in done.stderr
