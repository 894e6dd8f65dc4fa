"""Trains a tiny network in child processes and kills them, as told on the command line; a helper of test_resume.py.

A program of its own, since it forks: everything is imported once, and no thread has been started yet.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from configs.loading.load import from_mapping
from configs.schema import Config
from data.tasks import TASKS
from tests.networks import UNET
from trainer import build
from trainer.build import build_model
from trainer.input_sizes import check_sizes
from trainer.report import report
from trainer.runs.run import train
from trainer.split import find_split
from utils.log import log_to_console

DRAWN_WITH = ("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg")


def main(root: Path, runs: Path, kills: int) -> None:
    """Train `whole` in one go, and `parts` with up to `kills` kills at random moments; prints how many hit.

    Then the same by optimizer steps, as `whole-steps` and `parts-steps`.
    """
    log_to_console()
    for module in DRAWN_WITH:
        importlib.import_module(module)  # once, instead of in each process
    warm_up(config(root, runs, "first"))
    moments = random.Random(7)
    for kind in ("", "-steps"):
        if kind:
            report.write_report = lambda folder: folder.report  # the runs before were killed in theirs too
        whole, parts = (config(root, runs, f"{name}{kind}") for name in ("whole", "parts"))
        took_s = timed(partial(train, whole, resume=False, command=""))
        hit, again = 0, partial(train, parts, resume=True, command="")
        while hit < kills and killed_after(moments.uniform(0, took_s), again):
            hit += 1
        timed(again)
        sys.stdout.write(f"{hit} kills{kind}\n")


def warm_up(config: Config) -> None:
    """Load, compile and check what every scene needs, once."""
    check_sizes(config, build_model(config), TASKS[config.task])
    build.check_sizes = lambda *_: None  # type: ignore[attr-defined]  # slow, and the same in every process
    TASKS[config.task].read(find_split(config).train[0])
    gc.freeze()  # children do not look through what is here, so memory stays shared


LENGTHS = {
    True: {"steps": 5, "evaluate_every_steps": 3, "swa_from_step": 2},
    False: {"epochs": 3, "swa_from_epoch": 2},
}


def config(root: Path, runs: Path, name: str) -> Config:
    """Everything that has a state is switched on."""
    return from_mapping(
        {
            "run": {"name": name, "folder": str(runs)},
            "services": {"mlflow": {"local": False}},
            "data": {"root": str(root), "folds": 3, "workers": 1},
            "transform": {"size_px": 32, "train": ["hflip", {"name": "noise", "p": 0.5}]},
            "model": UNET,
            "optimizer": {"name": "adamw", "lr": 1e-3},
            "scheduler": {"name": "custom_cawr", "first_cycle": 4, "warmup": 1},
            "trainer": {
                **LENGTHS[name.endswith("-steps")],
                "batch_size": 2,
                "accumulate": 2,
                "precision": "fp16",
                "ema_decay": 0.9,
            },
            "checkpoint": {"every_steps": 1, "keep_every_steps": 2},
            "early_stopping": None,
        }
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes in a child process, which must succeed."""
    started_s = time.monotonic()
    _, status = os.waitpid(forked(work), 0)
    assert status == 0, status
    return time.monotonic() - started_s


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Start `work` in a child process and kill it; False where it had ended before."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
