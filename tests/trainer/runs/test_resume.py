"""A run that is killed again and again ends as one that never was; what is on the disk is used with doubt."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.schema import Config
from tests.root import ROOT
from trainer.records.checkpoint import StateFiles, load_weights
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from utils.errors import UserError
from utils.lock import locked

Make = Callable[..., Config]


def test_a_run_killed_at_random_moments_ends_with_the_same_bits(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainer.killing", str(root), str(tmp_path), "3"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 2, done.stderr
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    assert differences(newest_state(whole), newest_state(parts)) == []
    for one, other in ((whole.best_weights, parts.best_weights), (whole.swa_weights, parts.swa_weights)):
        assert differences(dict(load_weights(one).tensors), dict(load_weights(other).tensors)) == []
    assert results(whole) == results(parts)
    assert not list(parts.path.rglob(".*.part"))


def newest_state(run: RunFolder) -> dict[str, Any]:
    found = StateFiles(run.checkpoints, keep=2).load_newest()
    assert found is not None
    return found[1]


def differences(a: Any, b: Any, at: str = "") -> list[str]:
    """The places where two nested values differ, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        unpaired = [f"{at}.{key}" for key in a.keys() ^ b.keys()]
        return unpaired + [place for key in a.keys() & b.keys() for place in differences(a[key], b[key], f"{at}.{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [place for i, pair in enumerate(zip(a, b, strict=True)) for place in differences(*pair, f"{at}[{i}]")]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else bool(a == b)
    return [] if same else [at]


def results(run: RunFolder) -> list[dict[str, str]]:
    """The metrics but for what depends on the clock."""
    with run.metrics.open() as file:
        return [
            {name: cell for name, cell in row.items() if name not in ("seconds", "data_wait_share")}
            for row in csv.DictReader(file)
        ]


def test_a_damaged_newest_state_costs_an_epoch_and_no_bit(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    whole = train(make_config(run={"name": "whole"}), resume=False, command="")
    train(make_config(run={"name": "parts"}), resume=False, command="")
    parts = RunFolder(whole.path.with_name("parts"))
    newest = StateFiles(parts.checkpoints, keep=2).paths()[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    train(make_config(run={"name": "parts"}), resume=True, command="")
    assert f"{newest.name}: is damaged or not a training state, so it is not used" in caplog.text
    assert "continuing in epoch 2 after 0 batches" in caplog.text
    assert newest.with_suffix(".damaged").exists()
    assert differences(newest_state(whole)["stepper"]["model"], newest_state(parts)["stepper"]["model"]) == []
    assert [row["epoch"] for row in results(parts)] == ["1", "2"]


def test_the_state_of_another_network_is_one_sentence(make_config: Make) -> None:
    fast = {"fast_dev_run": True}
    other = train(make_config(run={"name": "other"}, trainer=fast, model={"name": "fpn"}), resume=False, command="")
    mine = train(make_config(trainer=fast), resume=False, command="")
    foreign = StateFiles(other.checkpoints, keep=2).paths()[0]
    mine.checkpoints.joinpath("state-00000099.pt").write_bytes(foreign.read_bytes())
    with pytest.raises(UserError, match=r"state-00000099\.pt: is the state of another network"):
        train(make_config(trainer=fast), resume=True, command="")


def test_a_run_killed_while_it_wrote_its_first_file_can_be_resumed_or_begun(make_config: Make, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / ".config.yaml.abc.part").write_text("run: {na")
    train(make_config(trainer={"fast_dev_run": True}), resume=True, command="")
    assert not (folder / ".config.yaml.abc.part").exists()


def test_a_run_that_is_being_trained_is_left_alone(make_config: Make, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.lock)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    for resume in (False, True):
        with pytest.raises(UserError, match=rf"tiny: this run is being trained already \(process {holder.pid} on "):
            train(make_config(run={"if_exists": "replace"}), resume=resume, command="")
    assert not run.path.exists()
    holder.kill()
    holder.communicate()
    with locked(run.lock, "free again"):
        pass


HOLD = """
import sys
from pathlib import Path
from utils.lock import locked
with locked(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""
