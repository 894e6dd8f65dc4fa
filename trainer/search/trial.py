"""One trial of a search: a whole run with settings of its own, stopped early where the search sees no use in it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from configs.schema import Config
from data.tasks import TASKS
from trainer.records.folder import RunFolder
from trainer.records.history import read_history
from trainer.runs.run import train
from utils.errors import Interrupted, UserError
from utils.events import EpochEnded, Event
from utils.lock import Busy
from utils.metric import Metric

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. `score` is the best of its epochs, 0..1; None where it failed before one was scored."""

    state: Literal["done", "pruned", "failed"]
    score: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""
    """Why it failed, in a sentence."""


def run_trial(config: Config, *, command: str, should_prune: Callable[[int, float], bool]) -> Outcome:
    """Train `config`, or go on with it where its folder holds a state; returns how that ended.

    `should_prune` receives each scored epoch (from 0) and its score; if it answers yes, the run is stopped. `command`
    continues the search; it is told where somebody stops it. What the user can mend by other settings (memory, losses
    that are not finite) is an outcome. Raises `Interrupted` where somebody asked the run to stop.
    """
    folder, watch, metric = RunFolder(config.folder), Pruning(should_prune), TASKS[config.task].metric
    try:
        train(config, resume=folder.config.exists(), command=command, observer=watch)
    except Interrupted:
        if not watch.has_stopped:
            raise
        return outcome(folder, metric, "pruned")
    except Busy:
        raise
    except UserError as error:
        return outcome(folder, metric, "failed", str(error))
    return outcome(folder, metric, "done")


class Pruning:
    """Listens to a run, asks `should_prune` after each scored epoch, and stops the run where the answer is yes."""

    def __init__(self, should_prune: Callable[[int, float], bool]) -> None:
        self.should_prune = should_prune
        self.is_useless = self.has_stopped = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded) and event.score is not None:
            self.is_useless = self.should_prune(event.epoch, event.score) and event.epoch + 1 < event.epochs

    def stop_requested(self) -> bool:
        """Asked only where nobody else wants the run to stop: so `has_stopped` says that this is why it did."""
        self.has_stopped = self.is_useless
        return self.is_useless


def outcome(folder: RunFolder, metric: Metric, state: Literal["done", "pruned", "failed"], reason: str = "") -> Outcome:
    """What the run's own table says of all its epochs."""
    rows = read_history(folder.metrics)
    scores = [float(row[metric.name]) for row in rows if row.get(metric.name)]
    best = min((score for score in scores if math.isfinite(score)), key=metric.badness, default=None)
    return Outcome(state, best, len(rows), sum(float(row["seconds"]) for row in rows), reason)
