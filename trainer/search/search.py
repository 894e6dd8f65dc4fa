"""Search for better settings: optuna proposes them, each trial is a short run, and bad ones are stopped early.

The folder `<run.folder>/<run.name>-search/` holds a run for each trial, the study, `search.json` and `search.html`. The
same command continues after an interruption; N is the number of trials that have ended. `configs.search_space` says
what SPACE.yaml may hold.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.loading.load import load
from configs.search_space import load_space
from trainer.evaluation.distances import NSD
from trainer.search.plan import Plan
from trainer.search.ray_trials import study_on_cluster
from trainer.search.report import print_trials, summary_of, write_summary
from trainer.search.study import Study
from trainer.split import find_split
from utils.errors import UserError
from utils.lock import locked


def search(
    config_file: Path, space_file: Path, trials: int, overrides: Sequence[str] = (), *, metric: str | None = None
) -> Path:
    """Run trials until `trials` of them have ended; return the folder of the search.

    `metric`: None for the task's, or "nsd". Raises `UserError` for a fault of config, space or data, and `Interrupted`
    if a run was asked to stop.
    """
    with open_plan(config_file, space_file, trials, overrides, metric) as plan:
        try:
            STUDY_WITH[plan.config.launcher](plan, trials)
        finally:
            summary = summary_of(plan.study, plan.title, plan.train_command)
            write_summary(plan.folder, summary, plan.study.metric)
            print_trials(summary, plan.study.metric)
    return plan.folder


def study_locally(plan: Plan, trials: int) -> None:
    """Run trials on this machine, one after the other. A trial that is interrupted continues in a later call."""
    while len(plan.study.finished) < trials:
        proposal = plan.study.propose()
        config = plan.config_to_run(proposal)
        if config is not None:
            plan.close(proposal, plan.trial(proposal.should_prune)(config))


STUDY_WITH: dict[str, Callable[[Plan, int], None]] = {"local": study_locally, "ray": study_on_cluster}
"""How trials are run, by `launcher`."""


@contextmanager
def open_plan(
    config_file: Path, space_file: Path, trials: int, overrides: Sequence[str], metric: str | None
) -> Iterator[Plan]:
    """Yield the plan of a search, a new one or one that was begun before; one process at a time may hold it."""
    space = load_space(space_file, config_file, overrides)
    config = load(config_file, overrides)
    if not isinstance(config.fold, int):
        raise UserError(f"fold: {config.fold} are several, but trials are compared on one. Give one, such as fold=0.")
    find_split(config)  # a fault of the data is reported once, and not by each trial
    folder = config.run.folder / f"{config.run.name}-search"
    program = ["python", "-m", "trainer.search", "--config", str(config_file), "--space", str(space_file)]
    command = shlex.join([*program, "--trials", str(trials), *(["--metric", metric] if metric else []), *overrides])
    way_out = "Wait for it, stop it, or choose another run.name."
    with locked(folder.with_name(f".{folder.name}.lock"), f"{folder}: this search is going on already", way_out):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file. Choose another run.name, or move it away.")
        folder.mkdir(exist_ok=True)
        study = Study(folder / "search.sqlite", config, space, NSD if metric == NSD.name else None)
        yield Plan(config_file, overrides, config, folder, study, command)
