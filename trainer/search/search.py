"""Search for better settings: many short runs, proposed by optuna, the hopeless ones stopped early.

Everything lies in `<run.folder>/<run.name>-search/`: a run per trial, the study, `search.json` and `search.html`. The
same command goes on after a kill; N counts the trials that came to an end. What SPACE.yaml may say:
`configs.search_space`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.loading.load import load
from configs.search_space import load_space
from trainer.search.plan import Plan
from trainer.search.ray_trials import study_on_cluster
from trainer.search.report import print_trials, summary_of, write_summary
from trainer.search.study import Study
from trainer.search.trial import run_trial
from trainer.split import find_split
from utils.errors import UserError
from utils.lock import locked


def search(config_file: Path, space_file: Path, trials: int, overrides: Sequence[str] = ()) -> Path:
    """Run trials until `trials` have come to an end; returns the search's folder, where all of it is written.

    Raises `UserError` for what the user can mend and `Interrupted` where somebody asked a run to stop.
    """
    with opened(config_file, space_file, trials, overrides) as plan:
        try:
            STUDY_WITH[plan.config.launcher](plan, trials)
        finally:
            summary = summary_of(plan.study, plan.title, plan.train_command)
            write_summary(plan.folder, summary, plan.study.metric)
            print_trials(summary, plan.study.metric)
    return plan.folder


def study_here(plan: Plan, trials: int) -> None:
    """Run trials on this machine, one after the other. A run that is stopped stays open, to go on another time."""
    while len(plan.study.finished) < trials:
        proposal = plan.study.propose()
        config = plan.prepared(proposal)
        if config is not None:
            plan.close(proposal, run_trial(config, command=plan.command, should_prune=proposal.should_prune))


STUDY_WITH: dict[str, Callable[[Plan, int], None]] = {"local": study_here, "ray": study_on_cluster}
"""How trials are run, by `launcher`."""


@contextmanager
def opened(config_file: Path, space_file: Path, trials: int, overrides: Sequence[str]) -> Iterator[Plan]:
    """The plan of a search, new or begun before; held by one process at a time."""
    space = load_space(space_file, config_file, overrides)
    config = load(config_file, overrides)
    if not isinstance(config.fold, int):
        raise UserError(f"fold: {config.fold} are several, but trials are compared on one. Give one, such as fold=0.")
    find_split(config)  # what is wrong with the data is told once, not by one trial after the other
    folder = config.run.folder / f"{config.run.name}-search"
    program = ["python", "-m", "trainer.search", "--config", str(config_file), "--space", str(space_file)]
    command = shlex.join([*program, "--trials", str(trials), *overrides])
    with locked(folder.with_name(f".{folder.name}.lock"), f"{folder}: this search is going on already"):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file. Choose another run.name, or move it away.")
        folder.mkdir(exist_ok=True)
        study = Study(folder / "search.sqlite", config, space)
        yield Plan(config_file, overrides, config, folder, study, command)
