"""Several folds of one experiment, one after the other: each a run of its own in `runs/<name>/fold<k>/`.

A single fold, `fold=0`, lies in `runs/<name>/` itself; `fold=[0]` is one fold of several.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch

from configs.fold import ALL
from configs.schema import Config
from data.folds.files import fold_numbers
from services.delivery.run_memory import RUN, RunMemory
from trainer.build import build_plan
from trainer.crossval.crossval import write_crossval
from trainer.distributed.failure import fail_together
from trainer.distributed.processes import from_main, start_accelerator
from trainer.records.folder import RunFolder, refuse_taken
from trainer.runs.listeners import RunObserver, service_publishers
from trainer.runs.ray_cluster import train_on_cluster
from trainer.runs.resume import refuse_changes
from trainer.runs.run import train
from trainer.runs.stored_config import write_folds
from trainer.split import find_split
from trainer.training.stop_signals import interrupt_on_signals
from utils.errors import DAMAGED, UserError
from utils.events import FoldsJoined
from utils.processes import process_ranks
from utils.rounds import done_after

log = logging.getLogger(__name__)


def train_folds(config: Config, *, resume: bool, command: str, observer: RunObserver | None = None) -> None:
    """Train the fold or folds that `config` says, one after the other, then write the cross-validation report.

    With `resume` finished folds are skipped, and an interrupted one continues. `command` continues all folds; it is
    logged if training is stopped. `observer` receives the events of each fold, and may ask it to stop. Raises as
    `trainer.runs.run.train`, and `KeyboardInterrupt` if it is stopped between two folds or at once.
    """
    if config.launcher == "ray":
        send_folds(config, resume=resume, command=command)
        return
    if isinstance(config.fold, int):
        train(config, resume=resume, command=command, observer=observer)
        return
    folds = folds_of(config)
    accelerator = start_accelerator()
    with fail_together(accelerator):
        from_main(accelerator, lambda: begin_folds(config, folds, resume=resume))
    log.info("%s: folds %s, one after the other", config.run.name, ", ".join(map(str, folds)))
    try:
        with interrupt_on_signals():
            for fold in folds:
                train_fold(config, fold, resume=resume, command=command, observer=observer)
            write_report_of_folds(config, command)
    except KeyboardInterrupt:
        log.info("%s: stopped, what is saved is kept. Continue with: %s", config.run.name, command)
        raise


def train_fold(
    config: Config, fold: int, *, resume: bool, command: str, observer: RunObserver | None = None
) -> RunFolder:
    """Train one fold of an experiment in a folder of its own, `runs/<name>/fold<k>/`; returns that folder.

    With `resume` an interrupted fold continues, and a finished one is skipped. Raises as
    `trainer.runs.run.train`.
    """
    alone = config.of_fold(fold)
    folder = RunFolder(alone.folder)
    accelerator = start_accelerator()
    with fail_together(accelerator):
        finished = from_main(accelerator, lambda: resume and is_finished(folder, alone))
    if finished:
        log.info("%s: finished already", alone.title)
        return folder
    try:
        return train(alone, resume=resume, command=command, observer=observer)
    finally:
        free_memory()


def send_folds(config: Config, *, resume: bool, command: str) -> None:
    """Train the fold or folds on a cluster, side by side; those that are finished are left alone with `resume`."""
    several = not isinstance(config.fold, int)
    if several:
        begin_folds(config, folds_of(config), resume=resume)
    runs = [config.of_fold(fold) for fold in folds_of(config)] if several else [config]
    left = [run for run in runs if not (resume and is_finished(RunFolder(run.folder), run))]
    with interrupt_on_signals():
        train_on_cluster(left, resume=resume, command=command)
    if several:
        write_report_of_folds(config, command)


def folds_of(config: Config) -> tuple[int, ...]:
    """Return the numbers of the folds that a config asks for."""
    if config.fold != ALL:
        return config.fold_numbers
    files = config.data.fold_files
    return tuple(range(config.data.folds)) if files is None else fold_numbers(files)


def run_folders(config: Config) -> list[RunFolder]:
    """The folder of the run, or those of its folds."""
    runs = [config] if isinstance(config.fold, int) else [config.of_fold(fold) for fold in folds_of(config)]
    return [RunFolder(run.folder) for run in runs]


def first_fold(config: Config) -> Config:
    """Return the config itself, or that of its first fold if it has several."""
    return config if isinstance(config.fold, int) else config.of_fold(folds_of(config)[0])


def is_finished(folder: RunFolder, config: Config) -> bool:
    """Whether this run has ended. Raises `UserError` if the folder is that of a run with other settings."""
    found = read_finished(folder)
    if found is None or not folder.config.exists():
        return False
    refuse_changes(config, folder)
    (done, stopped_early), plan = found, build_plan(config)
    return stopped_early or done >= done_after(plan.epochs - 1, plan.rounds)


def read_finished(folder: RunFolder) -> tuple[int, bool] | None:
    """Read how many epochs or optimizer steps the run took and whether it stopped early; None if it has not ended."""
    try:
        found = json.loads(folder.finished.read_text(encoding="utf-8"))
        return int(found.get("steps_done", found["epochs_done"])), bool(found["stopped_early"])
    except FileNotFoundError:
        return None
    except DAMAGED:
        log.warning("%s: is damaged, so this run is not regarded as finished", folder.finished)
        return None


def begin_folds(config: Config, folds: Sequence[int], *, resume: bool) -> None:
    """Write which folds are trained with which settings, after all that can be refused now."""
    refuse_late_fault(config, folds, resume=resume)
    write_folds(config)


def refuse_late_fault(config: Config, folds: Sequence[int], *, resume: bool) -> None:
    """Raise `UserError` if one of the folds could not begin, before the first of them is trained."""
    refuse_single_run(config)
    for alone in map(config.of_fold, folds):
        find_split(alone, check=False)
        if not resume:
            refuse_taken(RunFolder(alone.folder), replace=config.run.if_exists == "replace")


def refuse_single_run(config: Config) -> None:
    """Raise `UserError` if the folder holds a run of a single fold."""
    folder = RunFolder(config.run.folder / config.run.name)
    if folder.config.exists():
        raise UserError(
            f"{folder.path}: holds a run of a single fold. Choose another run.name for several, or move it away."
        )


def write_report_of_folds(config: Config, command: str) -> None:
    """Join the scores of the folds, in the main process, and inform the services if they are new.

    If joining fails, this is logged: the folds themselves are trained.
    """
    if not process_ranks().is_main:
        return
    folder = RunFolder(config.run.folder / config.run.name)
    try:
        numbers = write_crossval(folder.path)
    except UserError as error:
        log.warning("no cross-validation report: %s", error)
        return
    if is_news(folder, [RunFolder(config.of_fold(fold).folder) for fold in folds_of(config)]):
        with service_publishers(config, folder, command=command) as informed:
            for listener in informed:
                listener(folds_joined_event(config, folder, numbers))


def is_news(group: RunFolder, folds: Sequence[RunFolder]) -> bool:
    """Whether the services have not been informed of these ends of the folds; the ends are saved for the next call."""
    ends = {fold.path.name: fold.finished.read_text("utf-8") for fold in folds if fold.finished.exists()}
    memory = RunMemory(group.path).block(RUN)
    before = memory.get("joined")
    with suppress(UserError):  # a full disk: they are informed once more
        memory.set(joined=ends)
    return bool(ends != before)


def folds_joined_event(config: Config, folder: RunFolder, numbers: Mapping[str, Any]) -> FoldsJoined:
    """Make the event with the numbers of a cross-validation."""
    mean = config.chosen_task.metric.mean_name
    return FoldsJoined(
        name=config.run.name,
        folder=folder.path,
        folds=len(numbers["folds"]),
        mean=numbers[mean],
        spread=numbers["sd"][mean],
        report=folder.path / "crossval.html",
        score_per_class={name: row[mean] for name, row in numbers["per_class"].items()},
    )


def free_memory() -> None:
    """Free the device's memory that a finished fold used, for the network of the next one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
