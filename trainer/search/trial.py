"""Run one trial of a search: a training with its own settings, which may be stopped early."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from configs.schema import Config
from trainer.evaluation.distances import NSD
from trainer.records.folder import RunFolder
from trainer.records.history import Row, read_history, without_start
from trainer.runs.run import train
from utils.errors import Interrupted, UserError
from utils.events import EpochEnded, Event
from utils.files import read_json
from utils.lock import Busy
from utils.metric import Metric

log = logging.getLogger(__name__)


State: TypeAlias = Literal["done", "pruned", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. `score` is the best of its epochs, 0..1; None if it failed before one was scored."""

    state: State
    score: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""
    """Why it failed, in a sentence."""
    steps: int = 0
    """Optimizer steps, if the training is counted in them."""


def run_trial(
    config: Config, *, command: str, should_prune: Callable[[int, float], bool], metric: Metric | None = None
) -> Outcome:
    """Train `config`, or resume it if its folder holds a run; return how it ended.

    `should_prune` is called with each scored epoch (from 0) and its score; if it returns True, the run is stopped.
    `command` continues the search; it is shown if the run is interrupted. `metric` is what the outcome is scored by:
    the task's (None), or one that `trainer.distances` measures. A failure that other settings can avoid, such
    as too little memory or a loss that is not finite, is an outcome. Raises `Interrupted` if the run was asked to stop.
    """
    folder, observer = RunFolder(config.folder), PruningObserver(should_prune)
    metric = metric or config.chosen_task.metric
    try:
        train(config, resume=folder.config.exists(), command=command, observer=observer)
    except Interrupted:
        if not observer.has_stopped:
            raise
        return outcome_of(folder, metric, "pruned")
    except Busy:
        raise
    except UserError as error:
        return outcome_of(folder, metric, "failed", str(error))
    return outcome_of(folder, metric, "done")


class PruningObserver:
    """Calls `should_prune` after each scored epoch of a run, and stops the run if it returns True."""

    def __init__(self, should_prune: Callable[[int, float], bool]) -> None:
        self.should_prune = should_prune
        self.should_stop = self.has_stopped = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded) and event.score is not None:
            self.should_stop = self.should_prune(event.epoch, event.score) and event.epoch + 1 < event.epochs

    def stop_requested(self) -> bool:
        """Return whether to stop the run. It is called only if nothing else stops it, so it is the reason."""
        self.has_stopped = self.should_stop
        return self.should_stop


def outcome_of(folder: RunFolder, metric: Metric, state: State, reason: str = "") -> Outcome:
    """Return the outcome of a run from its `metrics.csv`, and its `distances.json` if they are searched for."""
    rows = read_history(folder.metrics)
    epochs = without_start(rows)
    scores = measured_score(folder) if metric == NSD else scores_of(epochs, metric)
    best = min((score for score in scores if math.isfinite(score)), key=metric.badness, default=None)
    seconds, steps = sum(float(row["seconds"]) for row in rows), int(epochs[-1].get("step", 0)) if epochs else 0
    if best is None and state == "done":
        state, reason = "failed", f"its {metric.label} was not measured; see its log"
    return Outcome(state, best, len(epochs), seconds, reason, steps)


def scores_of(epochs: Sequence[Row], metric: Metric) -> list[float]:
    """Return the scores of all epochs that were scored."""
    return [float(row[metric.name]) for row in epochs if row.get(metric.name)]


def measured_score(folder: RunFolder) -> list[float]:
    """Return the NSD of the best weights; nothing if the run did not come to its end."""
    if not folder.distances.exists():
        return []
    found = read_json(folder.distances, unreadable="Change its permissions.", malformed="Delete it.")
    return [float(found["distances"][NSD.name]["mean"])]
