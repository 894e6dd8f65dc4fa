"""One training run from config to report: its folder, its parts, its events, and every way it may end."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from accelerate import Accelerator
from torch import nn

from configs.loading.load import as_dict, dump
from configs.schema import Config
from data.check.looks import usual_look_of
from trainer.build import Assembly, assemble
from trainer.distributed.failure import FailureMonitor, fail_together
from trainer.distributed.processes import refuse_difference, start_accelerator
from trainer.evaluation.ruler import make_ruler
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import write_validation
from trainer.provenance import read_provenance, write_provenance
from trainer.records.checkpoint import StateFiles, Weights, save_weights
from trainer.records.environment import devices_name, write_environment
from trainer.records.folder import RunFolder, open_folder
from trainer.records.history import read_history
from trainer.report.distances import measure_held_out
from trainer.report.report import report_written
from trainer.runs.disk_space import refuse_full_disk
from trainer.runs.listeners import RunObserver, listeners, refuse_missing_trackers
from trainer.runs.resume import continue_from, refuse_changes, refuse_other_images
from trainer.split import Split, find_split, find_strata
from trainer.torch_errors import explain_torch_error, is_out_of_memory
from trainer.training.engine import Engine, NonFiniteLoss
from trainer.training.keep_swa import keep_swa
from trainer.training.stop_signals import StopSignal, stop_on_signals
from utils.errors import Interrupted, UserError
from utils.events import Fault, Listener, RunFailed, RunFinished, RunInterrupted, RunStarted
from utils.files import write_text
from utils.lock import locked
from utils.log import FILE_ONLY
from utils.redact import redact

log = logging.getLogger(__name__)

Describe: TypeAlias = Callable[[nn.Module, int, float | None, int | None], Weights]
"""Network, epoch, score and optimizer step (None: not known) → the content of a weights file."""
LONGEST_REASON, LONGEST_TRACE = 4000, 200_000
"""Characters of an event about a failure; the run's log has the whole texts."""


@dataclass(frozen=True)
class RunContext:
    """One run: its config, folder and processes, and what receives its events."""

    config: Config
    folder: RunFolder
    accelerator: Accelerator
    emit: Listener
    command: str
    """The command that continues the run."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes the run's files."""
        return bool(self.accelerator.is_main_process)

    @property
    def states(self) -> StateFiles:
        """The files that the run continues from."""
        return StateFiles(self.folder.checkpoints, keep=self.config.checkpoint.keep)


def train(config: Config, *, resume: bool, command: str, observer: RunObserver | None = None) -> RunFolder:
    """Train as `config` says, or continue the run of its name; return the finished run's folder.

    `command` continues the run; it is logged if the run is stopped. `observer` receives the events and may ask the run
    to stop. Raises `UserError` for what the user can fix and `Interrupted` if the run was asked to stop, with its state
    saved.
    """
    accelerator = start_accelerator()
    with fail_together(accelerator) as failure:
        refuse_missing_trackers(config)
        split = find_split(config)
        refuse_difference(accelerator, settings=[dump(config)], images=split.keys)
        folder = RunFolder(config.folder)
        with lock_run(folder, accelerator):
            if accelerator.is_main_process:
                open_folder(folder, resume=resume, replace=config.run.if_exists == "replace")
                if resume:
                    refuse_changes(config, folder, accelerator.num_processes)
            accelerator.wait_for_everyone()
            with listeners(config, folder, observer, command=command, is_main=accelerator.is_main_process) as emit:
                run = RunContext(config, folder, accelerator, emit, command)
                stop_requested = observer.stop_requested if observer else lambda: False
                end = train_and_emit(run, split, failure, stop_requested, resume=resume)
                if run.is_main:
                    measure_distances(config, folder)
                    emit(report_written(folder))
                    write_text(folder.finished, json.dumps(values_of_end(end), indent=2) + "\n")
    return folder


def measure_distances(config: Config, folder: RunFolder) -> None:
    """Measure the distances of a run that has ended, if it asks for them; the report goes without if that fails."""
    if config.trainer.distances is None:
        return
    try:
        measure_held_out(folder, make_ruler(**config.trainer.distances.model_dump()))
    except UserError as error:
        log.warning("no distances are measured: %s", error)


def lock_run(folder: RunFolder, accelerator: Accelerator) -> AbstractContextManager[None]:
    """Lock this folder while it is trained in. Raises `UserError` if another program trains in it."""
    if not accelerator.is_main_process:
        return nullcontext()
    way_out = "Wait for it, stop it, or choose another run.name."
    return locked(folder.lock, f"{folder.path}: this run is being trained already", way_out)


def train_and_emit(
    run: RunContext, split: Split, failure: FailureMonitor, stop_requested: Callable[[], bool], *, resume: bool
) -> RunFinished:
    """Train, and emit an event for every kind of end."""
    started_s, assembly, signals = time.monotonic(), None, StopSignal()
    failure.on_failure = lambda error: emit_failure(run, error)
    try:
        with stop_on_signals() as signals:
            assembly = write_and_assemble(run, split)
            engine = build_engine(run, assembly, lambda: signals.has_come() or stop_requested())
            if resume:
                refuse_other_images(run.folder.validation, split.valid)
                continue_from(engine, run.states)
            run.emit(started_event(run, split, engine))
            engine.fit()
            if assembly.train_state.swa is not None:
                keep_swa(engine, swa_saver(run, assembly))
        end = finished_event(run, engine, time.monotonic() - started_s)
        run.emit(end)
        return end
    except Interrupted as stop:
        run.emit(interrupted_event(run, stop, signals.name))
        raise
    except Exception as error:
        # Torch's own errors become sentences, and of several processes that fail the first one's sentence counts.
        words = explain_torch_error(error, run.config, run.accelerator.device, assembly.loader if assembly else None)
        cause = failure.first_failure(words or error)
        fault: Fault = "memory" if is_out_of_memory(error) else "error"
        emit_failure(run, cause, fault)
        if cause is not error:
            raise cause from error
        raise
    finally:
        if assembly is not None:
            assembly.loader.close()


def emit_failure(run: RunContext, error: Exception, fault: Fault = "error") -> None:
    """Log the error, with its traceback if it is a bug of Carpus, and emit it with the command that may help."""
    bug = None if isinstance(error, UserError) else error
    log.error("%s", error, exc_info=bug, extra=FILE_ONLY)
    title, folder = run.config.title, run.folder
    if isinstance(error, NonFiniteLoss):
        run.emit(RunFailed(title, folder.path, str(error), fault="nan"))
        return
    reason = (str(error) or type(error).__name__)[:LONGEST_REASON]
    trace = traceback_of(bug) if bug else ""
    run.emit(RunFailed(title, folder.path, reason, run.command if folder.has_state else None, fault, trace))


def traceback_of(error: Exception) -> str:
    """The traceback of an error, without secrets. Only the end of a very long one: no service takes 24 MB."""
    trace = "".join(traceback.format_exception(error))
    if len(trace) <= LONGEST_TRACE:
        return redact(trace)
    # A secret that is cut in two would not be recognised, so the final cut comes after.
    return f"(The beginning is in log.txt.)\n{redact(trace[-2 * LONGEST_TRACE :])[-LONGEST_TRACE:]}"


def write_and_assemble(run: RunContext, split: Split) -> Assembly:
    """Write config and environment, build all parts, and check that the run's files will fit on the disk."""
    if run.is_main:
        write_text(run.folder.config, dump(run.config))
        write_environment(run.folder, run.accelerator)
    assembly = assemble(run.config, split, run.accelerator, run.emit)
    if run.is_main:
        write_provenance(run.folder, run.config, split.train, assembly.loader.sampler.weights)
        refuse_full_disk(run.folder, run.states, assembly.train_state, assembly.kept_weights)
    return assembly


def build_engine(run: RunContext, assembly: Assembly, stop_requested: Callable[[], bool]) -> Engine:
    """Build the engine that trains an assembly and writes into the run's folder."""
    weights_of = weights_describer(run, assembly)
    return Engine(
        assembly.stepper,
        assembly.loader,
        assembly.validator,
        assembly.stopping,
        assembly.plan,
        save_state=on_main(run.accelerator, run.states.save),
        save_best=weights_saver(run, assembly, weights_of, run.folder.best_weights, run.folder.validation),
        keep_weights=weights_keeper(run, weights_of),
        emit=run.emit,
        stop_requested=stop_requested,
    )


def swa_saver(run: RunContext, assembly: Assembly) -> Callable[[nn.Module, int, ScoreTable], None]:
    """Return the function that writes the average of the last epochs and its scores."""
    weights_of = weights_describer(run, assembly)
    return weights_saver(run, assembly, weights_of, run.folder.swa_weights, run.folder.swa_validation)


def weights_saver(
    run: RunContext, assembly: Assembly, weights_of: Describe, weights_file: Path, validation_file: Path
) -> Callable[[nn.Module, int, ScoreTable], None]:
    """Return the function that writes a network and its scores into these files; only the main process writes."""
    task, rounds = assembly.task, assembly.plan.rounds
    strata = find_strata(task, assembly.split.valid) if run.is_main else {}
    groups = {sample.name: sample.group for sample in assembly.split.valid}

    def save(model: nn.Module, epoch: int, table: ScoreTable) -> None:
        step = None if rounds is None else rounds.end(epoch)
        save_weights(weights_file, weights_of(model, epoch, table.mean, step))
        write_validation(validation_file, epoch, table, strata, groups, step)

    return on_main(run.accelerator, save)


def weights_keeper(run: RunContext, weights_of: Describe) -> Callable[[nn.Module, int, int, float | None], None]:
    """Return the function that writes a network into a file of its optimizer step; only the main process writes."""

    def keep(model: nn.Module, epoch: int, step: int, score: float | None) -> None:
        save_weights(run.folder.weights_of_step(step), weights_of(model, epoch, score, step))

    return on_main(run.accelerator, keep)


def weights_describer(run: RunContext, assembly: Assembly) -> Describe:
    """Return the function that makes a file's content of a network, its epoch, score and optimizer step."""
    task, config = assembly.task, as_dict(run.config)
    looked_at = [sample.image for sample in assembly.split.train] if run.is_main and task.checks.one_look else []
    usual = usual_look_of(task.read_image, looked_at)
    images = None if usual is None else usual.as_plain()
    provenance = read_provenance(run.folder)

    def weights_of(model: nn.Module, epoch: int, score: float | None, step: int | None) -> Weights:
        return Weights(
            model.state_dict(),
            classes=task.classes,
            config=config,
            epoch=epoch,
            score=score,
            metric=task.metric.name,
            images=images,
            provenance=provenance,
            step=step,
        )

    return weights_of


def started_event(run: RunContext, split: Split, engine: Engine) -> RunStarted:
    """Make the event of a run before its next step."""
    train_state = engine.stepper.train_state
    return RunStarted(
        name=run.config.title,
        folder=run.folder.path,
        epochs=engine.plan.epochs,
        first_epoch=engine.epoch,
        train_images=len(split.train),
        valid_images=len(split.valid),
        device=devices_name(train_state.accelerator),
        precision=train_state.precision.name,
        is_trained=engine.is_trained,
        rounds=engine.plan.rounds,
    )


def interrupted_event(run: RunContext, stop: Interrupted, signal: str | None) -> RunInterrupted:
    """Make the event of a run that somebody stopped, perhaps with a signal of this name."""
    return RunInterrupted(
        name=run.config.title,
        folder=run.folder.path,
        epoch=stop.epoch,
        step=stop.batches_done,
        command=run.command,
        signal=signal,
        steps_done=stop.steps_done,
        rounds=run.config.trainer.rounds,
    )


def finished_event(run: RunContext, engine: Engine, seconds: float) -> RunFinished:
    """Make the event of a run that has ended as planned, or stopped early.

    Its seconds are those of all its epochs, also of those before a resume, as the report counts them; `seconds` are
    those since the program began, if no table of epochs is there.
    """
    rows = read_history(run.folder.metrics) if run.folder.metrics.exists() else []
    epochs_s = [float(row["seconds"]) for row in rows]  # and those of the scoring before the first step
    finished = RunFinished(
        name=run.config.title,
        folder=run.folder.path,
        epochs_done=engine.epoch,
        best=engine.stopping.best,
        best_epoch=engine.stopping.best_epoch,
        seconds=sum(epochs_s) or seconds,
        stopped_early=engine.epoch < engine.plan.epochs,
        best_score=engine.best_score,
        rounds=engine.plan.rounds,
    )
    start, metric = engine.start.score, engine.validator.metric.metric
    if start is None or metric.badness(start) >= metric.badness(finished.score):
        return finished
    return replace(finished, better_start=start)


def values_of_end(end: RunFinished) -> dict[str, Any]:
    """Return how a run ended, for `finished.json`; there epochs count from 1."""
    values = {
        "epochs_done": end.epochs_done,
        "best": end.best,
        "best_epoch": end.best_epoch + 1,
        "seconds": round(end.seconds, 1),
        "stopped_early": end.stopped_early,
    }
    if end.rounds is not None:
        values |= {
            "steps_done": end.rounds.end(end.epochs_done - 1),
            "best_step": end.rounds.end(end.best_epoch),
        }
    return values


def on_main(accelerator: Accelerator, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` in the main process, and one that does nothing in the others: one process writes files."""
    return function if accelerator.is_main_process else lambda *_: None
