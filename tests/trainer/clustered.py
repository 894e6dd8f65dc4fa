"""Trains a run on a Ray cluster of two machines and kills the one that trains it; a helper of test_cluster.py.

A program of its own, since Ray's threads and processes would outlive a test. The run `whole` is trained here, to
compare.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.load import from_mapping
from configs.schema import Config
from trainer.folder import RunFolder
from trainer.folds import train_folds
from utils.errors import exit_code_of
from utils.log import log_to_console


def main(root: Path, runs: Path) -> int:
    import ray
    from ray.cluster_utils import Cluster

    log_to_console()
    size = {"object_store_memory": 80_000_000}
    cluster = Cluster(
        initialize_head=True, connect=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **size}
    )
    try:
        machines = [cluster.add_node(num_cpus=1, **size) for _ in range(2)]
        run = RunFolder(runs / "parts" / "fold0")
        killer = threading.Thread(target=kill_the_busy_one, args=(run, cluster, machines))
        killer.start()
        train_folds(config(root, runs, "parts", "ray"), resume=False, command="go on")
        killer.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    train_folds(config(root, runs, "whole", "local"), resume=False, command="")
    return 0


def config(root: Path, runs: Path, name: str, launcher: str) -> Config:
    return from_mapping(
        {
            "run": {"name": name, "folder": str(runs)},
            "launcher": launcher,
            "fold": [0],
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 32, "train": ["hflip"]},
            "model": {"name": "unet", "encoder": "tu-mobilenetv3_small_050", "encoder_weights": None},
            "trainer": {"epochs": 3, "batch_size": 2, "precision": "fp32"},
            "checkpoint": {"every_steps": 1},
            "early_stopping": None,
        }
    )


def kill_the_busy_one(run: RunFolder, cluster: Any, machines: Sequence[Any]) -> None:
    """Once the run has saved a state: kill the machine whose processes train it, at once and without a word."""
    import psutil

    while not run.has_state:
        time.sleep(0.05)
    trains = int(run.lock.read_text().split()[1])
    parents = {parent.pid for parent in psutil.Process(trains).parents()}
    busy = next(machine for machine in machines if machine.all_processes["raylet"][0].process.pid in parents)
    cluster.remove_node(busy, allow_graceful=False)


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: main(Path(sys.argv[1]), Path(sys.argv[2]))))
