"""Trains a tiny network in one process and in two that exchange gradients; a helper of test_processes.py.

A program of its own, since it forks: everything is imported once, and no thread has been started yet. What each
process says on stderr goes to `<runs>/<scene>.<rank>.txt`, the exit codes to `<runs>/ends.json`, and nothing on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from configs.loading.load import as_dict, from_mapping
from configs.schema import Config
from loss import LOSSES
from models import MODELS
from tests.losses import DeepSupervision, ssim_like
from tests.networks import ThreeOutputs
from tests.trainer.killing import forked, warm_up
from trainer.report import report
from trainer.runs import run
from trainer.split import Split, find_split
from trainer.training.stepper import Stepper
from utils.errors import Interrupted, UserError
from utils.log import log_to_console
from utils.processes import process_ranks
from utils.program import exit_code_of

Spoil = Callable[[int], None]
"""Changes what the process of a rank does."""


def main(root: Path, runs: Path) -> None:
    LOSSES["ssim"], LOSSES["deep_supervision"] = ssim_like, lambda: DeepSupervision(2)
    MODELS["three_outputs"] = three_outputs
    report.write_report = lambda folder: folder.report  # slow, and the same as ever
    warm_up(config(root, runs, "first", batch_size=1))
    scenes: dict[str, tuple[Config, int, bool, Spoil]] = {
        "one": (config(root, runs, "one", batch_size=4), 1, False, nothing),
        "two": (config(root, runs, "two", batch_size=2), 2, False, nothing),
        "one_open": (open_config(root, runs, "one_open", batch_size=4), 1, False, nothing),
        "two_open": (open_config(root, runs, "two_open", batch_size=2), 2, False, nothing),
        "stopped": (config(root, runs, "parts", batch_size=2), 2, False, one_is_asked_to_stop),
        "resumed": (config(root, runs, "parts", batch_size=2), 2, True, nothing),
        "faulty": (config(root, runs, "faulty", batch_size=2), 2, False, one_fails),
        "killed": (config(root, runs, "killed", batch_size=2), 2, False, one_is_killed),
        "unequal": (config(root, runs, "unequal", batch_size=2), 2, False, one_sees_other_images),
    }
    ends = {}
    for name, (scene, world, resume, spoil) in scenes.items():
        started_s = time.monotonic()
        codes = played(scene, world, resume, spoil, runs / name)
        ends[name] = {"codes": codes, "seconds": time.monotonic() - started_s}
    (runs / "ends.json").write_text(json.dumps(ends))


def three_outputs(classes: int, *_: object) -> nn.Module:
    """A network of which the loss below reads the first two outputs, so that no gradient reaches its last head."""
    return ThreeOutputs(classes)


def open_config(root: Path, runs: Path, name: str, *, batch_size: int) -> Config:
    """As `config`, with a network of several outputs and losses that are not sums over pixels."""
    values = as_dict(config(root, runs, name, batch_size=batch_size))
    parts = [{"loss": "dice"}, {"loss": "ssim", "weight": 0.5}, {"loss": "deep_supervision"}]
    return from_mapping(values | {"model": "three_outputs", "loss": {"name": "mix", "parts": parts}})


def config(root: Path, runs: Path, name: str, *, batch_size: int) -> Config:
    """Everything that processes must agree on is switched on. Plain gradient descent, for Adam blows up rounding."""
    return from_mapping(
        {
            "run": {"name": name, "folder": str(runs)},
            "services": {"mlflow": {"local": False}},
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 64, "train": ["hflip"]},
            "model": {
                "name": "unet",
                "encoder": "tu-mobilenetv3_small_050",
                "encoder_weights": None,
                "encoder_depth": 3,
                "decoder": {"decoder_channels": [32, 16, 16]},
            },
            "loss": {"name": "mix", "parts": [{"loss": "dice"}, {"loss": "bce"}, {"loss": "focal_tversky"}]},
            "optimizer": {"name": "sgd", "lr": 0.01},
            "trainer": {"epochs": 2, "batch_size": batch_size, "precision": "fp32", "ema_decay": 0.9, "clip_norm": 1.0},
            "checkpoint": {"keep": 9},
            "early_stopping": {"patience": 1, "metric": "valid_loss", "mode": "min"},
        }
    )


def played(config: Config, world: int, resume: bool, spoil: Spoil, told: Path) -> list[int]:
    """The exit codes of `world` processes that train together; minus the signal's number for one that was killed."""
    port = free_port()
    children = [forked(partial(act, config, rank, world, port, resume, spoil, told)) for rank in range(world)]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def act(config: Config, rank: int, world: int, port: int, resume: bool, spoil: Spoil, told: Path) -> None:
    """One process, as `torchrun` starts it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.dup2(os.open(told.with_suffix(f".{rank}.txt"), os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    log_to_console(quiet=not process_ranks().is_main)
    spoil(rank)
    os._exit(exit_code_of(lambda: program(config, resume)))


def program(config: Config, resume: bool) -> int:
    try:
        run.train(config, resume=resume, command="go on")
    except Interrupted:
        return 130
    return 0


def nothing(*_: object) -> None:
    pass


def one_is_asked_to_stop(rank: int) -> None:
    if rank == 1:
        at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))


def one_fails(rank: int) -> None:
    def fail() -> None:
        raise UserError("image.png: is broken.")

    if rank == 1:
        at_step(1, fail)


def one_is_killed(rank: int) -> None:
    if rank == 1:
        at_step(3, lambda: os.kill(os.getpid(), signal.SIGKILL))


def one_sees_other_images(rank: int) -> None:
    def without_the_first(config: Config) -> Split:
        split = find_split(config)
        return Split(split.train[1:], split.valid)

    if rank == 1:
        run.find_split = without_the_first  # type: ignore[assignment,attr-defined]


def at_step(number: int, act: Callable[[], None]) -> None:
    """Let `act` happen before step `number`, counted from 1 over all epochs."""
    steps, step = iter(range(1, 10_000)), Stepper.step

    def spoiled(stepper: Stepper, *args: object) -> object:
        if next(steps) == number:
            act()
        return step(stepper, *args)  # type: ignore[arg-type]

    Stepper.step = spoiled  # type: ignore[method-assign,assignment]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
