"""A run that is killed again and again ends as one that never was; what is on the disk is used with doubt."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.loading.load import dump
from configs.schema import Config
from tests.forkserver import ForkServer
from tests.root import ROOT
from tests.trainer.runs.test_run import interrupt_after, same, weights_of
from tests.trainer.scenes import play
from trainer.records.checkpoint import StateFiles, load_weights
from trainer.records.folder import RunFolder
from trainer.records.history import read_history
from trainer.runs.folds import train_folds
from trainer.runs.run import train
from trainer.runs.stored_config import keep_length, load_stored, resume_command
from utils.errors import Interrupted, UserError
from utils.lock import locked

Make = Callable[..., Config]


def test_a_run_killed_at_random_moments_ends_with_the_same_bits(
    root: Path, fork_server: ForkServer, tmp_path: Path
) -> None:
    done = play(fork_server, "tests.trainer.killing", root, tmp_path, 3)
    for kind, line in zip(("", "-steps"), done.stdout.splitlines(), strict=True):
        assert int(line.split()[0]) >= 2, done.stderr
        whole, parts = RunFolder(tmp_path / f"whole{kind}"), RunFolder(tmp_path / f"parts{kind}")
        assert differences(newest_state(whole), newest_state(parts)) == []
        assert [path.name for path in whole.kept_weights] == [path.name for path in parts.kept_weights] != []
        of_both = ((run.best_weights, run.swa_weights, *run.kept_weights) for run in (whole, parts))
        for one, other in zip(*of_both, strict=True):
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
    fpn = make_config(run={"name": "other"}, trainer=fast, model={"name": "fpn", "decoder": None})
    other = train(fpn, resume=False, command="")
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


def test_a_resume_keeps_the_epochs_of_the_run(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = train(make_config(trainer={"epochs": 3}), resume=False, command="")
    forgotten = make_config(trainer={"epochs": 1})
    with pytest.raises(UserError, match=r"trainer\.epochs=1: this run was begun with 3"):
        train(forgotten, resume=True, command="")
    assert keep_length(forgotten, [folder], []).trainer.epochs == 3
    assert "trainer.epochs: 3, as when this run was begun, and not 1" in caplog.text
    assert keep_length(make_config(trainer={"epochs": 5}), [folder], []).trainer.epochs == 5
    assert keep_length(forgotten, [folder], ["trainer.epochs=1"]).trainer.epochs == 1


def test_a_run_is_resumed_from_its_folder_alone(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(make_config(run={"name": "whole"}, trainer={"epochs": 3}), resume=False, command="")
    interrupt_after(5, monkeypatch)
    config = make_config(run={"name": "parts"}, trainer={"epochs": 3})
    with pytest.raises(Interrupted):
        train(config, resume=False, command="")
    # The folder may be moved, and renamed, before it goes on.
    moved = config.folder.parent.parent / "elsewhere" / "renamed"
    moved.parent.mkdir()
    config.folder.rename(moved)
    monkeypatch.undo()
    parts = train(load_stored(moved), resume=True, command="")
    assert parts.path == moved
    assert same(weights_of(whole), weights_of(parts))
    seconds = sum(float(row["seconds"]) for row in read_history(parts.metrics))
    assert json.loads(parts.finished.read_text())["seconds"] == pytest.approx(seconds, abs=0.1)
    assert f"open {parts.report}" in parts.log.read_text()


def test_folds_are_resumed_from_their_common_folder(make_config: Make, tmp_path: Path) -> None:
    config = make_config(fold=[0, 2], trainer={"fast_dev_run": True})
    train_folds(config, resume=False, command="")
    stored = load_stored(tmp_path / "runs" / "tiny")
    assert stored == config
    assert load_stored(tmp_path / "runs" / "tiny" / "fold2") == config.of_fold(2)
    assert resume_command(config) == ["--resume", str(tmp_path / "runs" / "tiny")]
    (tmp_path / "runs" / "tiny" / "folds.yaml").unlink()
    with pytest.raises(UserError, match=r"holds folds, but not which were wanted; give the config"):
        load_stored(tmp_path / "runs" / "tiny")


def test_a_strangers_run_does_not_say_where_secrets_are_sent(make_config: Make, tmp_path: Path) -> None:
    mine = make_config(services={"slack": {"base_url": "http://stranger.example/api/"}})
    mine.folder.mkdir(parents=True)
    (mine.folder / "config.yaml").write_text(dump(mine))
    with pytest.raises(UserError, match=r"services\.slack\.base_url=http://stranger\.example/api/ decides where your"):
        load_stored(mine.folder)
    repeated = resume_command(mine)[2:]
    assert load_stored(mine.folder, repeated) == mine
