"""How long one image takes, in ONNX Runtime and in torch, on the processor of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.export.graph import Graph
from trainer.export.proof.logits import logits_of, open_session
from trainer.trained import Trained

AT_MOST_S = 4.0
ROUNDS = 7


def time_networks(trained: Trained, files: Mapping[str, Path], graph: Graph) -> dict[str, float]:
    """Return the seconds that one image takes, by name: `torch`, and each of the files; the median of several rounds.

    They take turns, so that what else this machine does slows all of them alike.
    """
    batch = torch.zeros(1, graph.channels, *graph.size_hw)
    calls: dict[str, Callable[[], object]] = {"torch": lambda: logits_of(trained, batch)}
    calls |= {name: _call(path, batch) for name, path in files.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    started_s = time.monotonic()
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            before_s = time.perf_counter()
            call()
            if number:  # the first prepares memory
                taken[name].append(time.perf_counter() - before_s)
        if number and time.monotonic() - started_s > AT_MOST_S:
            break
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def _call(path: Path, batch: Tensor) -> Callable[[], object]:
    """Return a function that computes a file's first output."""
    session = open_session(path)
    output, given = session.get_outputs()[0].name, {session.get_inputs()[0].name: batch.numpy()}
    return lambda: session.run([output], given)
