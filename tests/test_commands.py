"""The programs as a user calls them: the whole road on 64 px phantom hands, and how faults end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contest import write_split
from tests.forkserver import ForkServer
from tests.root import ROOT


def environment() -> dict[str, str]:
    """On one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_program_started_by_a_shell_ends_with_its_exit_code() -> None:
    """The other tests fork a process that has imported torch, which behaves alike and is there in a moment."""
    command = [sys.executable, "train.py", "--config", "configs/smoke.yaml", "data.root=/nowhere"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "data.phantom --out datasets/smoke" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_whole_road_from_phantom_to_report(fork_server: ForkServer, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "runs" / "smoke"

    def succeed(*arguments: object) -> str:
        done = fork_server.run(list(map(str, arguments)), ROOT, environment())
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    succeed("-m", "data.phantom", "--out", data, "--train-patients", 4, "--test-patients", 2, "--size", 64)
    told = succeed("train.py", "--config", "configs/smoke.yaml", f"data.root={data}", f"run.folder={tmp_path / 'runs'}")
    assert "done after 1 epoch, " in told
    succeed("inference.py", "--run", run)
    rows = (run / "submission.csv").read_text().splitlines()
    assert (rows[0], len(rows)) == ("image_name,class,rle", 1 + 4 * 29)
    succeed("K-fold_ensemble.py", "--runs", run, run, "--output", tmp_path / "twice.csv")
    assert (tmp_path / "twice.csv").read_bytes() == (run / "submission.csv").read_bytes()
    shown = succeed(
        *("evaluate.py", "--prediction", run / "submission.csv", "--truth", data / "test"),
        *("--json", run / "score.json", "--gallery", run / "gallery"),
    )
    score = json.loads((run / "score.json").read_text())
    assert f"mean Dice {score['mean_dice']:.4f} over 4 images" in shown
    assert len(score["images"]) == 4
    assert f"open {run / 'report.html'}" in succeed("-m", "trainer.report", "--run", run)
    assert "test Dice" in (run / "report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_saves_and_ends_with_130(
    number: signal.Signals, fork_server: ForkServer, tmp_path: Path
) -> None:
    write_split(tmp_path / "data" / "train", patients=6)
    settings = [f"data.root={tmp_path / 'data'}", f"run.folder={tmp_path}", "data.workers=1", "trainer.epochs=400"]
    run = fork_server.start(["train.py", "--config", "configs/smoke.yaml", *settings], ROOT, environment())
    metrics = tmp_path / "smoke" / "metrics.csv"
    while not metrics.exists() and run.code is None:
        time.sleep(0.1)
    os.killpg(run.pid, number)
    done = run.wait()
    told = done.stderr
    assert done.returncode == 130, told
    assert f"everything is saved. Continue with: python train.py --resume {tmp_path / 'smoke'}" in told
    assert "Traceback" not in told
    assert list((tmp_path / "smoke" / "checkpoints").glob("state-*.pt"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train.py", "--config", "configs/smok.yaml"), "configs/smok.yaml: no such file. Did you mean"),
        (("train.py", "--config", "configs/smoke.yaml", "trainer.epoch=3"), "Did you mean 'epochs'?"),
        (("train.py", "--config", "configs/smoke.yaml", "data.root=/nowhere"), "data.phantom --out datasets/smoke"),
        (("train.py", "--epochs", "3"), "such as trainer.epochs=3"),
        (
            ("-m", "data.phantom", "--out", "x", "--train-patients", "-1", "--test-patients", "0"),
            "whole number from 0",
        ),
    ],
)
def test_a_fault_that_the_user_can_fix_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], sentence: str, fork_server: ForkServer
) -> None:
    done = fork_server.run(arguments, ROOT, environment())
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
