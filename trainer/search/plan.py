"""The plan of a search: its files, its study, and what is done before and after each trial."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from configs.loading.load import load
from configs.schema import Config
from configs.search_space import format_override
from services import CHANNELS
from trainer.records.folder import RunFolder
from trainer.search.study import Proposal, Study
from trainer.search.trial import Outcome, run_trial
from utils.errors import UserError

log = logging.getLogger(__name__)

FAILURES_BEFORE_END = 3
"""A search ends if its first trials, so many of them, all fail: then the fault is in what they have in common."""


@dataclass(frozen=True)
class Plan:
    """What all trials of a search have in common. `command` continues the search."""

    config_file: Path
    overrides: Sequence[str]
    config: Config
    folder: Path
    study: Study
    command: str

    @property
    def title(self) -> str:
        """The name of the search's folder."""
        return self.folder.name

    @property
    def train_command(self) -> str:
        """The command that trains the experiment with all its epochs; the settings of a trial are appended to it."""
        name = f"run.name={self.config.run.name}-best"
        kept = [each for each in self.overrides if not each.startswith(("run.name=", "trainer.fast_dev_run="))]
        return shlex.join(["python", "train.py", "--config", str(self.config_file), *kept, name])

    def config_of(self, proposal: Proposal) -> Config:
        """Return the config of a trial: its settings and its folder. Of the services only MLflow stays switched on."""
        settings = [format_override(key, value) for key, value in proposal.settings.items()]
        place = [format_override("run.folder", str(self.folder)), f"run.name={name_of(proposal)}"]
        silent = [format_override(f"services.{name}.enabled", False) for name in CHANNELS if name != "mlflow"]
        measured = ["trainer.distances={}"] if self.study.is_measured and self.config.trainer.distances is None else []
        return load(self.config_file, [*self.overrides, *settings, *place, *silent, *measured])

    def trial(self, should_prune: Callable[[int, float], bool]) -> Callable[[Config], Outcome]:
        """Return the function that runs a trial; see `run_trial`."""
        return partial(run_trial, command=self.command, should_prune=should_prune, metric=self.study.metric)

    def config_to_run(self, proposal: Proposal) -> Config | None:
        """Return the config of a trial; if its settings are refused, record that it failed and return None."""
        log.info("trial %d: %s", proposal.number, format_settings(proposal))
        try:
            return self.config_of(proposal)
        except UserError as error:
            self.close(proposal, Outcome("failed", reason=str(error)))
            return None

    def close(self, proposal: Proposal, outcome: Outcome) -> None:
        """Record how a trial ended, and delete its saved states.

        Raises `UserError` if all trials so far have failed.
        """
        self.study.close(proposal, outcome)
        for state in RunFolder(self.folder / name_of(proposal)).checkpoints.glob("state-*.pt"):
            state.unlink()
        score = "" if outcome.score is None else f", {self.study.metric.label} {outcome.score:.4f}"
        log.info("trial %d: %s%s %s", proposal.number, outcome.state, score, outcome.reason)
        states = [trial.state.name for trial in self.study.finished]
        if len(states) >= FAILURES_BEFORE_END and set(states) == {"FAIL"}:
            raise UserError(f"{self.folder}: all {len(states)} trials failed, the last with: {outcome.reason}")


def name_of(proposal: Proposal) -> str:
    """Return the name of a trial's folder: `trial-0001`."""
    return f"trial-{proposal.number:04d}"


def format_settings(proposal: Proposal) -> str:
    """Return a trial's settings as on the command line: "optimizer.lr=0.001, loss=dice"."""
    return ", ".join(format_override(key, value) for key, value in proposal.settings.items())
