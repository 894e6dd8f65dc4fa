from __future__ import annotations

import logging
from pathlib import Path

import pytest

from services.console import Console
from utils.events import EpochEnded, RunFinished, RunInterrupted, RunStarted, StepEnded

FOLDER = Path("runs/demo")


def test_a_run_reads_as_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console = Console("Dice")
    console(RunStarted("demo", FOLDER, 2, 0, 80, 20, "cpu, 2 threads", "fp32"))
    console(StepEnded(0, 1, 1, 0.5))
    console(EpochEnded(0, 2, 12.0, 0.5, {}, {"encoder": 1e-3, "decoder": 1e-3}, 0.01, 0.4, 0.8, {}, 0.8, True))
    console(RunInterrupted("demo", FOLDER, 1, 5, "python train.py --resume"))
    console(RunFinished("demo", FOLDER, 2, 0.8, 0, 90.0, False))
    console.close()
    assert caplog.messages == [
        "demo: 80 images to train on, 20 held out; 2 epochs on cpu, 2 threads in fp32; folder runs/demo",
        "epoch 1/2  loss 0.5000  valid loss 0.4000  Dice 0.8000 (best)  lr 1.00e-03  12.0 s, 1% waiting for data",
        "demo: stopped in epoch 2 after 5 batches, everything is saved. Continue with: python train.py --resume",
        "demo: done after 2 epochs, 1.5 min; best 0.8000 in epoch 1",
    ]
