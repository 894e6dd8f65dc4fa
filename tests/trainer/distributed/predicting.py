"""Predicts images in one process and in two that share them; a program that test_exchange.py starts.

It forks, so everything is imported once, and no thread has been started yet. `ends.json` holds the exit codes, and
`<scene>.<rank>.txt` what each process says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from configs.loading.load import as_dict, from_mapping
from data.hand_bone.classes import BONES
from tests.networks import tiny_network
from tests.trainer.killing import forked
from tests.trainer.together import free_port
from trainer import build, trained
from trainer.ensemble.predict import predict_together
from trainer.inference import infer
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights, save_weights
from utils.errors import UserError
from utils.log import log_to_console
from utils.processes import process_ranks
from utils.program import exit_code_of


def main(root: Path, folder: Path) -> None:
    for module in (build, trained):
        module.build_model = tiny_network  # type: ignore[attr-defined]
    files = [save(folder / f"{side_px}.safetensors", side_px) for side_px in (64, 96)]
    images = root / "test" / "DCM"
    alone = partial(infer, files[0], images)
    ends = {}
    for name, world in (("one", 1), ("two", 2)):
        ends[name] = played(world, folder / name, partial(alone, folder / f"{name}.csv"))
        together = partial(predict_together, files, images, folder / f"{name}_together.csv")
        ends[f"{name}_together"] = played(world, folder / f"{name}_together", together)
    ends["faulty"] = played(2, folder / "faulty", partial(fails_in_the_second, partial(alone, folder / "no.csv")))
    (folder / "ends.json").write_text(json.dumps(ends))


def save(path: Path, side_px: int) -> Path:
    """Weights of a network that has learned nothing."""
    values = {
        "run": {"name": "x"},
        "model": "unet",
        "trainer": {"precision": "fp32"},
        "transform": {"size_px": side_px},
    }
    config = from_mapping(values)
    torch.manual_seed(side_px)
    save_weights(path, Weights(tiny_network(config).state_dict(), BONES, as_dict(config), 0, 0.0))
    return path


def fails_in_the_second(program: Callable[[], object]) -> None:
    """Run a program in which the second process finds its first image broken."""

    def fail(*_: object) -> None:
        raise UserError("image.png: is broken.")

    if process_ranks().rank == 1:
        Predictor.start_decoding = fail  # type: ignore[method-assign,assignment]
    program()


def played(world: int, said: Path, program: Callable[[], object]) -> list[int]:
    """The exit codes of `world` processes that run a program together, as `torchrun` starts them."""
    port = free_port()
    children = [forked(partial(act, rank, world, port, said, program)) for rank in range(world)]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def act(rank: int, world: int, port: int, said: Path, program: Callable[[], object]) -> None:
    """One process."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.dup2(os.open(said.with_suffix(f".{rank}.txt"), os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    log_to_console(quiet=not process_ranks().is_main)
    os._exit(exit_code_of(partial(ended, program)))


def ended(program: Callable[[], object]) -> None:
    """Run a program whose result is no exit code."""
    program()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
