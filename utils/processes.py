"""The rank of this process among those of its run, read from the environment variables of torchrun and accelerate.

This module holds only what must be known before torch is loaded: whether to write messages, and how many processes
share this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from utils.errors import AlreadyReported, UserError


@dataclass(frozen=True)
class ProcessRanks:
    """The numbers of one process: `rank` of `world` processes in all, `local_rank` of `local_world` on its machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files and messages."""
        return self.rank == 0


def process_ranks() -> ProcessRanks:
    """Return the ranks of this process; those of a single process if no launcher has set them."""
    if not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys():
        return ProcessRanks()
    world = _number("WORLD_SIZE")
    local_world = _number("LOCAL_WORLD_SIZE") if "LOCAL_WORLD_SIZE" in os.environ else world
    return ProcessRanks(_number("RANK"), world, _number("LOCAL_RANK"), local_world)


def launcher() -> list[str]:
    """Return the words before a program's name that start as many processes again; on each machine if several are used.

    Example: ["torchrun", "--nproc-per-node", "4"].
    """
    here = process_ranks()
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
    """Let only the first process of each machine report a `UserError` of the block.

    For faults that every process finds alike, such as a mistake in a file.
    """
    try:
        yield
    except UserError as error:
        if process_ranks().local_rank:
            wait_for_report()
            raise AlreadyReported(str(error), 2) from error
        raise


def wait_for_report(seconds: float = 2.5) -> None:
    """Wait for the process that reports the fault: a launcher ends all processes as soon as one has ended."""
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
