"""Plays scenes on a Ray cluster of two machines, and one run without it, to compare; a helper of the cluster's tests.

A program of its own, since Ray's threads and processes would outlive a test. What it says is printed to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from configs.loading.load import dump, from_mapping
from configs.schema import Config
from tests.networks import UNET
from trainer import build
from trainer.records.folder import RunFolder
from trainer.report import report
from trainer.runs import folds, ray_cluster
from trainer.runs.folds import train_folds
from trainer.search.search import search
from trainer.search.study import Proposal
from utils.log import log_to_console
from utils.program import exit_code_of

USELESS = 2
"""The trial that the search finds not worth going on with."""
SIZE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def main(root: Path, runs: Path) -> int:
    log_to_console()
    ray_cluster.run_task = quickly(ray_cluster.run_task)
    leave_out_what_is_slow()
    Proposal.should_prune = finding_one_useless(Proposal.should_prune)  # type: ignore[method-assign,assignment]
    first, third = (RunFolder(runs / "many-search" / f"trial-{number:04d}") for number in (1, 3))
    with machines() as cluster:
        with meanwhile(lambda: kill_the_busy_one(RunFolder(runs / "parts" / "fold0"), cluster)):
            train_folds(config(root, runs, "parts", "ray"), resume=False, command="go on")
        cluster.add_node(**SIZE)
        with meanwhile(lambda: kill_the_busy_one(first, cluster)):
            search_in_vain(root, runs, "ray", 2)
        with meanwhile(lambda: interrupt_when_begun(third)), suppress(KeyboardInterrupt):
            search_in_vain(root, runs, "ray", 3)
    search_in_vain(root, runs, "local", 3)
    folds.write_report_of_folds = nothing  # type: ignore[assignment]
    train_folds(config(root, runs, "whole", "local"), resume=False, command="")
    return 0


def quickly(do: Callable[..., Any]) -> Callable[..., Any]:
    """`do`, in a process on the cluster, without what is slow there."""

    def do_quickly(*arguments: Any) -> Any:
        leave_out_what_is_slow()
        return do(*arguments)

    return do_quickly


def leave_out_what_is_slow() -> None:
    """Reports and checks of sizes are the same as ever."""
    report.write_report = lambda folder: folder.report
    build.check_sizes = nothing  # type: ignore[attr-defined,assignment]


def nothing(*_: object) -> None:
    pass


def finding_one_useless(should_prune: Callable[[Proposal, int, float], bool]) -> Callable[[Proposal, int, float], bool]:
    """Let the search find one trial useless; where the trial runs, nobody knows."""
    return lambda proposal, epoch, dice: should_prune(proposal, epoch, dice) or proposal.number == USELESS


def config(root: Path, runs: Path, name: str, launcher: str, **changes: Any) -> Config:
    return from_mapping(
        {
            "run": {"name": name, "folder": str(runs)},
            "services": {"mlflow": {"local": False}},
            "launcher": launcher,
            "fold": [0],
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 32, "train": ["hflip"]},
            "model": UNET,
            "trainer": {"epochs": 2, "batch_size": 2, "precision": "fp32"},
            "checkpoint": {"every_steps": 1},
            "early_stopping": None,
            **changes,
        }
    )


def search_in_vain(root: Path, runs: Path, launcher: str, trials: int) -> None:
    """Search over what changes no result: each trial that is not pruned should end as the fold does."""
    (runs / "many.yaml").write_text(dump(config(root, runs, "many", launcher, fold=0)))
    (runs / "space.yaml").write_text("checkpoint.keep: {low: 1, high: 99}\n")
    search(runs / "many.yaml", runs / "space.yaml", trials)


@contextmanager
def machines() -> Iterator[Any]:
    """Two machines with a core each, and one that runs nothing."""
    import ray
    from ray.cluster_utils import Cluster

    head = {**SIZE, "num_cpus": 0, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(**SIZE)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Within this block, do something else too."""
    other = threading.Thread(target=act)
    other.start()
    yield
    other.join()


def kill_the_busy_one(run: RunFolder, cluster: Any) -> None:
    """Once the run has saved a state: kill the machine whose processes train it, at once and without a word."""
    wait_for_a_state(run)
    parents = {parent.pid for parent in psutil.Process(int(run.lock.read_text().split()[1])).parents()}
    busy = next(node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in parents)
    cluster.remove_node(busy, allow_graceful=False)


def interrupt_when_begun(run: RunFolder) -> None:
    """Ctrl-C, once the run has saved a state."""
    wait_for_a_state(run)
    os.kill(os.getpid(), signal.SIGINT)


def wait_for_a_state(run: RunFolder) -> None:
    while not run.has_state:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: main(Path(sys.argv[1]), Path(sys.argv[2]))))
