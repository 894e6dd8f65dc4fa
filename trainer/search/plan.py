"""What the trials of a search have in common, and what is done with each before and after it runs, wherever that is."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.loading.load import load
from configs.schema import Config
from configs.search_space import format_override
from services import CHANNELS
from trainer.records.folder import RunFolder
from trainer.search.study import Proposal, Study
from trainer.search.trial import Outcome
from utils.errors import UserError

log = logging.getLogger(__name__)

HOPELESS = 3
"""Failed trials after which a search without any good one ends: the fault is in what they share."""


@dataclass(frozen=True)
class Plan:
    """What a search's trials have in common."""

    config_file: Path
    overrides: Sequence[str]
    config: Config
    folder: Path
    study: Study
    command: str

    @property
    def title(self) -> str:
        return self.folder.name

    @property
    def train_command(self) -> str:
        """What trains the experiment at length; settings follow."""
        name = f"run.name={self.config.run.name}-best"
        kept = [each for each in self.overrides if not each.startswith(("run.name=", "trainer.fast_dev_run="))]
        return shlex.join(["python", "train.py", "--config", str(self.config_file), *kept, name])

    def config_of(self, proposal: Proposal) -> Config:
        """The experiment with one trial's settings, in the trial's folder. Of the services only MLflow is told."""
        settings = [format_override(key, value) for key, value in proposal.settings.items()]
        place = [format_override("run.folder", str(self.folder)), f"run.name={name_of(proposal)}"]
        silent = [format_override(f"services.{name}.enabled", False) for name in CHANNELS if name != "mlflow"]
        return load(self.config_file, [*self.overrides, *settings, *place, *silent])

    def prepared(self, proposal: Proposal) -> Config | None:
        """The config of a trial that is to be run now; None where its settings are refused, which is noted."""
        log.info("trial %d: %s", proposal.number, settings_text(proposal))
        try:
            return self.config_of(proposal)
        except UserError as error:
            self.close(proposal, Outcome("failed", reason=str(error)))
            return None

    def close(self, proposal: Proposal, outcome: Outcome) -> None:
        """Note how a trial ended, then delete the states that it could have gone on from.

        Raises `UserError` where all trials so far have failed.
        """
        self.study.close(proposal, outcome)
        for state in RunFolder(self.folder / name_of(proposal)).checkpoints.glob("state-*.pt"):
            state.unlink()
        score = "" if outcome.score is None else f", {self.study.metric.label} {outcome.score:.4f}"
        log.info("trial %d: %s%s %s", proposal.number, outcome.state, score, outcome.reason)
        states = [trial.state.name for trial in self.study.finished]
        if len(states) >= HOPELESS and set(states) == {"FAIL"}:
            raise UserError(f"{self.folder}: all {len(states)} trials failed, the last with: {outcome.reason}")


def name_of(proposal: Proposal) -> str:
    """The trial's folder within the search's."""
    return f"trial-{proposal.number:04d}"


def settings_text(proposal: Proposal) -> str:
    """Return a trial's settings as on the command line: "optimizer.lr=0.001, loss=dice"."""
    return ", ".join(format_override(key, value) for key, value in proposal.settings.items())
