"""Which of a run's processes this one is, as `torchrun` and `accelerate launch` tell it in environment variables.

Only what must be known before torch is there: whether to speak, and how many share this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from utils.errors import AlreadyReported, UserError


@dataclass(frozen=True)
class Place:
    """The place of one process: `rank` of `world` in all, `local_rank` of `local_world` on its machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files and speaks to its user."""
        return self.rank == 0


def place() -> Place:
    """Where this process stands; alone, where no launcher says otherwise."""
    if not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys():
        return Place()
    world = _number("WORLD_SIZE")
    local_world = _number("LOCAL_WORLD_SIZE") if "LOCAL_WORLD_SIZE" in os.environ else world
    return Place(_number("RANK"), world, _number("LOCAL_RANK"), local_world)


def launcher() -> list[str]:
    """The words before a program's name that start as many processes again; with several machines, on each of them."""
    here = place()
    if here.world == 1:
        return ["python"]
    machines = here.world // here.local_world
    if "ACCELERATE_MIXED_PRECISION" in os.environ:
        several = ["--num_machines", str(machines)] if machines > 1 else []
        return ["accelerate", "launch", "--num_processes", str(here.world), *several]
    several = ["--nnodes", str(machines)] if machines > 1 else []
    return ["torchrun", *several, "--nproc-per-node", str(here.local_world)]


@contextmanager
def report_once() -> Iterator[None]:
    """For what every process of a machine finds alike, such as a fault in a file: only the first one there tells it."""
    try:
        yield
    except UserError as error:
        if place().local_rank:
            linger()
            raise AlreadyReported(str(error), 2) from error
        raise


def linger(seconds: float = 2.5) -> None:
    """Leave the process that tells the time to do so: launchers end all others as soon as one has ended."""
    with suppress(KeyboardInterrupt):
        time.sleep(seconds)


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except ValueError:
        raise UserError(
            f"{name}={os.environ[name]}: this environment variable, which launchers set, should be a whole number. "
            "Unset it, or start with torchrun."
        ) from None
