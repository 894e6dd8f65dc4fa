from __future__ import annotations

import logging
from pathlib import Path

import pytest

from services.console import Console
from utils.events import EpochEnded, Event, ImageScored, RunFinished, RunInterrupted, RunStarted, StartScored, StepEnded
from utils.rounds import Rounds

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
        "demo: done after 2 epochs, 1.5 min; best Dice 0.8000 in epoch 1",
    ]


def test_a_run_by_steps_reads_as_steps(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console, rounds = Console("IoU"), Rounds(1000, 400)
    console(RunStarted("demo", FOLDER, 3, 0, 80, 20, "cpu", "fp32", rounds=rounds))
    shown = []
    for event in (ImageScored(-1, 1, 2), StartScored(0.3, 0.7, {}, 2.0), StepEnded(0, 1, 2, 0.5), ImageScored(0, 1, 2)):
        console(event)
        if not isinstance(event, StartScored):
            assert console.meter is not None
            shown.append(console.meter.label)
    console(
        EpochEnded(0, 3, 12.0, 0.5, {}, {"all": 1e-3}, 0.01, 0.4, 0.03, {}, 0.03, True, rounds=rounds, fell_from=0.7)
    )
    console(RunInterrupted("demo", FOLDER, 1, 5, "python train.py --resume", steps_done=402, rounds=rounds))
    console(RunFinished("demo", FOLDER, 3, 0.8, 2, 90.0, False, rounds=rounds))
    console(RunStarted("demo", FOLDER, 3, 3, 80, 20, "cpu", "fp32", is_trained=True, rounds=rounds))
    console.close()
    said = caplog.messages
    fall = said.pop(3)
    assert fall.startswith(
        "IoU fell from 0.7000 at the start to 0.0300 at step 400: training destroys what the pretrained"
    )
    assert said == [
        "demo: 80 images to train on, 20 held out; 1000 steps on cpu in fp32; folder runs/demo",
        "start  valid loss 0.3000  IoU 0.7000  2.0 s",
        "step  400/1000  loss 0.5000  valid loss 0.4000  IoU 0.0300 (best)  lr 1.00e-03  12.0 s, 1% waiting for data",
        "demo: stopped after 402 of 1000 steps, everything is saved. Continue with: python train.py --resume",
        "demo: done after 1000 steps, 1.5 min; best IoU 0.8000 at step 1000",
        "demo: nothing left to train, 1000 of 1000 steps are done; folder runs/demo",
    ]
    assert shown == ["Scoring the start, image", "To step 400/1000, batch", "Scoring step 400/1000, image"]


def test_a_run_that_is_trained_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console = Console("Dice")
    console(RunStarted("demo", FOLDER, 2, 2, 80, 20, "cpu, 2 threads", "fp32", is_trained=True))
    assert caplog.messages == ["demo: nothing left to train, 2 of 2 epochs are done; folder runs/demo"]


def test_the_score_of_the_kept_weights_is_shown_if_the_loss_decides(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Console("Dice")(RunFinished("demo", FOLDER, 2, 0.3, 0, 90.0, False, best_score=0.8))
    assert caplog.messages == ["demo: done after 2 epochs, 1.5 min; best Dice 0.8000 in epoch 1"]


def test_weights_that_training_has_made_worse_are_no_quiet_success(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Console("IoU")(RunFinished("demo", FOLDER, 2, 0.18, 0, 90.0, False, better_start=0.3))
    assert caplog.records[-1].levelname == "WARNING"
    assert caplog.messages[-1].startswith("demo: the weights that it began with are better: IoU 0.3000 at the start.")


def test_the_time_of_an_epoch_counts_from_its_beginning_and_that_of_a_scoring_from_the_last_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = [0.0]
    monkeypatch.setattr("utils.progress.time.monotonic", lambda: now_s[0])
    console = Console("Dice")

    def at(time_s: float, event: Event) -> None:
        now_s[0] = time_s
        console(event)

    at(0.0, RunStarted("demo", FOLDER, 2, 0, 2, 1, "cpu, 2 threads", "fp32"))
    at(50.0, StepEnded(0, 1, 2, None))
    at(60.0, StepEnded(0, 2, 2, 0.5))
    at(80.0, ImageScored(0, 1, 1))
    at(85.0, EpochEnded(0, 2, 85.0, 0.5, {}, {"encoder": 1e-3}, 0.01, 0.4, 0.8, {}, 0.8, True))
    at(100.0, StepEnded(1, 1, 1, 0.5))
    # Log lines are among them if an earlier test of this process has opened the console.
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("Epoch", "Scoring"))]
    assert shown == [
        "Epoch 1/2, batch 1/2",
        "Epoch 1/2, batch 2/2 in 1:00",
        "Scoring epoch 1/2, image 1/1 in 0:20",
        "Epoch 2/2, batch 1/1 in 0:15",
    ]
