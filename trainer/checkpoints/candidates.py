"""The networks of a run that can be compared: its start, what it kept on the way, the best and the average."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from configs.loading.load import load_as
from configs.schema import Config
from trainer.records.folder import RunFolder, refuse_no_run, step_of
from trainer.trained import Trained, load_start, load_trained, start_weights_of
from utils.errors import UserError
from utils.files import expand

log = logging.getLogger(__name__)

START, BEST, AVERAGE = "start", "best", "swa"


@dataclass(frozen=True)
class Candidate:
    """One network of a run. `step`: the optimizer steps that it has learnt from, None if its name does not say it."""

    name: str
    step: int | None
    path: Path

    @property
    def stamp(self) -> str:
        """A line that changes if the file changes."""
        about = self.path.stat()
        return f"{self.name} {about.st_size} {about.st_mtime_ns}"

    def load(self, config: Config, device: torch.device) -> Trained:
        """Build the network; `config` is the run's, which the file of a start does not hold."""
        return load_start(config, device) if self.name == START else load_trained(self.path, device)


def find_candidates(folder: RunFolder) -> tuple[Config, list[Candidate]]:
    """Return the run's config and its networks, in the order of training. Raises `UserError` if there are none."""
    refuse_no_run(folder)
    config = load_as(Config, folder.config)  # Not `load`: pretrained weights may have gone since.
    ends = ((BEST, folder.best_weights), (AVERAGE, folder.swa_weights))
    found = [
        *(Candidate(f"step {step_of(path)}", step_of(path), path) for path in folder.kept_weights),
        *(Candidate(name, None, path) for name, path in ends if path.exists()),
    ]
    if not found:
        raise UserError(f"{folder.path}: this run has no weights yet. Let it finish an epoch that is scored.")
    if not folder.kept_weights:
        log.warning("%s: keeps no weights on the way; checkpoint.keep_every_steps=… does", folder.path)
    return config, [*start_of(config), *found]


def start_of(config: Config) -> list[Candidate]:
    """Return the network that the run began with, if it was a file of a whole one; the log says if it has gone."""
    weights = start_weights_of(config)
    if weights is None:
        return []
    path = Path(expand(weights))
    if not path.is_file():
        log.warning("%s: has gone, so the network that the run began with is not compared", path)
        return []
    return [Candidate(START, 0, path)]
