"""What trackers share: how they follow a run's events, a config without secrets, a missing package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from services.channel import RunFacts
from services.mlflow.values import metrics_of, split_finite
from utils.errors import UserError
from utils.events import EpochEnded, Event, RunFailed, RunFinished, RunInterrupted, RunStarted, StartScored
from utils.metric import Metric
from utils.redact import redact
from utils.rounds import done_after


class Tracker(ABC):
    """Takes a run's events as a start, the numbers of each epoch, and an end; those before the start are left out."""

    def __init__(self, facts: RunFacts) -> None:
        self.facts = facts
        self.has_started = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.start(done_after(event.first_epoch - 1, event.rounds))
            self.has_started = True
        if not self.has_started:
            return
        point = point_of(event, self.facts.metric)
        if point is not None:
            self.add(*point)
        if isinstance(event, (RunFinished, RunInterrupted, RunFailed)):
            self.end(is_finished=isinstance(event, RunFinished))

    @abstractmethod
    def start(self, done: int) -> None:
        """Begin, or continue a run that is resumed after step `done`."""

    @abstractmethod
    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record the numbers of a step by their names."""

    @abstractmethod
    def end(self, *, is_finished: bool) -> None:
        """Close what was begun; a run that is not finished was interrupted or has failed."""


def refuse_missing(package: str) -> None:
    """Raise `UserError` if the package of a tracker is not installed."""
    if find_spec(package) is None:
        raise UserError(
            f"the package {package} is not installed. Say: pip install -r requirements-{package}.txt, or leave the "
            "tracker out of `trackers`."
        )


def point_of(event: Event, metric: Metric) -> tuple[int, dict[str, float]] | None:
    """Return the finite numbers of an event by name and their step; None if it has none.

    The step is the number of epochs done, or of optimizer steps in a training that is counted in them; 0 at the start.
    """
    if not isinstance(event, (EpochEnded, StartScored)):
        return None
    step = 0 if isinstance(event, StartScored) else done_after(event.epoch, event.rounds)
    return step, split_finite(metrics_of(event, metric))[0]


def without_secrets(value: Any) -> Any:
    """Return plain values with every secret in their texts and keys replaced by `***`."""
    if isinstance(value, Mapping):
        return {redact(str(key)): without_secrets(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(each) for each in value]
    return redact(value) if isinstance(value, str) else value
