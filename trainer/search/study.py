"""The study of a search: its trials in an SQLite file, and the proposal of the next one.

Each proposal is drawn from a random state that follows from the config's seed and the number of trials before it, so
a search that was interrupted makes the same proposals. Several trials may run at once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.changes import flattened, may_change
from configs.loading.load import as_dict
from configs.schema import Config
from configs.search_space import Choices, Space, Span
from trainer.search.trial import Outcome
from utils.config.component import Component
from utils.errors import UserError
from utils.metric import Metric

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)

UNPRUNED_TRIALS, UNPRUNED_EPOCHS = 4, 1
"""The first trials, and the first scored epochs of every trial, are never stopped: there is too little to compare."""

RANDOM_TRIALS = 10
"""So many trials are drawn at random; after them, settings near good ones are drawn more often."""


@dataclass(frozen=True)
class Proposal:
    """Settings of a trial, and its number from 1, by which its folder is named."""

    number: int
    settings: Mapping[str, Any]
    trial: Trial
    reported_epochs: set[int]
    """Epochs whose score the study has, also from before an interruption."""

    def should_prune(self, epoch: int, score: float) -> bool:
        """Record the score of an epoch (from 0); return whether it is worse than the median of other trials."""
        if epoch not in self.reported_epochs:
            self.reported_epochs.add(epoch)
            self.trial.report(score, epoch)
        return self.trial.should_prune()


class Study:
    """The trials of one search. One process at a time may hold it.

    `metric` is what is searched for, if not the task's own: a number that is measured at the end of a trial alone. So
    no trial is stopped early by it.
    """

    def __init__(self, path: Path, config: Config, space: Space, metric: Metric | None = None) -> None:
        import optuna
        from sqlalchemy import NullPool

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.seed = space, config.seed
        self.epoch_metric = config.chosen_task.metric
        self.metric, self.is_measured = metric or self.epoch_metric, metric is not None
        pruner = (
            optuna.pruners.NopPruner()
            if self.is_measured
            else optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=UNPRUNED_EPOCHS)
        )
        try:
            # Each use opens the file and closes it again: optuna closes no connection that is kept.
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
            self.study = optuna.create_study(
                storage=storage,
                study_name="search",
                direction="maximize" if self.metric.higher_is_better else "minimize",
                pruner=pruner,
                load_if_exists=True,
            )
            self._refuse_changes(path, config)
        except UserError:
            raise
        except Exception as error:  # whatever SQLite and its layers find in a foreign or damaged file
            raise UserError(
                f"{path}: is damaged or no search ({type(error).__name__}). Move its folder away."
            ) from error
        self._retry_killed()

    @property
    def finished(self) -> list[FrozenTrial]:
        """Trials that have ended: done, pruned or failed, but not killed."""
        trials = self.study.trials
        killed = {trial.user_attrs.get("again") for trial in trials}
        ended = [trial for trial in trials if trial.state.is_finished() and "outcome" in trial.user_attrs]
        return [trial for trial in ended if trial.number not in killed]

    def propose(self) -> Proposal:
        """Return the next trial: one that was interrupted, or one with new settings."""
        from optuna.samplers import TPESampler

        running = sum(trial.state.name == "RUNNING" for trial in self.study.trials)
        self.study.sampler = TPESampler(n_startup_trials=RANDOM_TRIALS, seed=self.seed + len(self.finished) + running)
        taken = max((trial.user_attrs.get("number", 0) for trial in self.study.trials), default=0)
        trial = self.study.ask()
        number = int(trial.user_attrs.get("number", taken + 1))
        trial.set_user_attr("number", number)
        settings = {key: suggest_value(trial, key, choice) for key, choice in self.space.items()}
        return Proposal(number, settings, trial, self._take_over(trial))

    def close(self, proposal: Proposal, outcome: Outcome) -> None:
        """Record how a trial ended."""
        from optuna.trial import TrialState

        states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        proposal.trial.set_user_attr("outcome", asdict(outcome))
        state = states[outcome.state] if outcome.score is not None else TrialState.FAIL
        value = outcome.score if state is TrialState.COMPLETE else None
        self.study.tell(proposal.trial, value, state=state)

    def settings_of(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return a trial's settings by key, without keys for which nothing was drawn."""
        return {key: value_of(choice, trial.params[key]) for key, choice in self.space.items() if key in trial.params}

    def _take_over(self, trial: Trial) -> set[int]:
        """Report the scores of a trial before it was killed; return their epochs."""
        before = trial.user_attrs.get("again")
        scored = {} if before is None else self.study.trials[before].intermediate_values
        for epoch, score in scored.items():
            trial.report(score, epoch)
        return set(scored)

    def _retry_killed(self) -> None:
        """Queue trials whose process was killed, under the same number, since their folder holds a state."""
        from optuna.trial import TrialState

        trials = self.study.trials
        queued = {trial.user_attrs.get("again") for trial in trials}
        for trial in trials:
            if trial.state is not TrialState.RUNNING:
                continue
            if trial.number not in queued and set(self.space) <= set(trial.params):
                number = trial.user_attrs["number"]
                log.info("trial %d was interrupted and continues", number)
                self.study.enqueue_trial(trial.params, user_attrs={"number": number, "again": trial.number})
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _refuse_changes(self, path: Path, config: Config) -> None:
        """Raise `UserError` if this search was begun with another experiment or another space."""
        origin = {
            "config": {
                key: value
                for key, value in flattened(as_dict(config))
                if key in ("trainer.epochs", "trainer.steps", "trainer.precision") or not may_change(key)
            },
            "space": {key: choice.model_dump(mode="json") for key, choice in self.space.items()},
        }
        now = json.loads(json.dumps(origin))
        before = self.study.user_attrs.get("origin")
        if before is None:
            self.study.set_user_attr("origin", now)
            self.study.set_user_attr("metric", self.metric.name)
            return
        searched = self.study.user_attrs.get("metric", self.epoch_metric.name)
        if searched != self.metric.name:
            raise UserError(
                f"{path.parent}: this search was begun for {searched}, not for {self.metric.name}. Give the same "
                "--metric, or another run.name."
            )
        before["config"] = {**defaults_missing(before["config"], now["config"], config), **before["config"]}
        changed = sorted(
            key
            for part in now
            for key in before[part].keys() | now[part].keys()
            if before[part].get(key) != now[part].get(key)
        )
        if changed:
            raise UserError(
                f"{path.parent}: this search was begun with other values of {', '.join(changed)}. Give the same config "
                "and space, or another run.name."
            )


def defaults_missing(before: Mapping[str, Any], now: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return the keys that a study of an older version does not know and that stand at their defaults now.

    A key below a block that was null before is none of them.
    """
    return {
        key: value
        for key, value in now.items()
        if key not in before and is_default(config, key) and not any(key.startswith(f"{block}.") for block in before)
    }


def is_default(config: Config, key: str) -> bool:
    """Whether a key of the config, such as `trainer.batch_size`, has the value it has if it is not given."""
    *blocks, name = key.split(".")
    section: Any = config
    for block in blocks:
        section = getattr(section, block, None)
        section = section.params if isinstance(section, Component) else section
    field = getattr(type(section), "model_fields", {}).get(name)
    return field is not None and getattr(section, name) == field.get_default(call_default_factory=True)


def suggest_value(trial: Trial, key: str, choice: Span | Choices) -> Any:
    """Let the study choose the value of one key."""
    if isinstance(choice, Choices):
        return value_of(choice, trial.suggest_categorical(key, [text_of(value) for value in choice.choices]))
    if choice.is_whole:
        step = int(choice.step) if choice.step is not None else 1
        return trial.suggest_int(key, int(choice.low), int(choice.high), log=choice.log, step=step)
    return trial.suggest_float(key, choice.low, choice.high, log=choice.log, step=choice.step)


def text_of(value: Any) -> str:
    """Return a choice as text, because optuna stores only single values."""
    return json.dumps(value, ensure_ascii=False)


def value_of(choice: Span | Choices, stored: Any) -> Any:
    """Return the value of a key that optuna stored, the inverse of `text_of` for a choice."""
    return json.loads(stored) if isinstance(choice, Choices) else stored
