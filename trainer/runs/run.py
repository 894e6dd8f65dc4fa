"""One training run from configuration to report: folder, parts, events, and how each kind of end is told."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from configs.loading.load import as_dict, dump
from configs.schema import Config
from data.sample import Sample
from data.task import TASKS
from trainer.build import Split, build_loader, build_stopping, build_train_state, build_validator, find_split, strata_of
from trainer.distributed.failure import Alarm, fail_together
from trainer.distributed.processes import refuse_difference, seed_ranks, start_accelerator
from trainer.evaluation.score_table import DiceTable
from trainer.evaluation.validator import write_validation
from trainer.records.checkpoint import StateFiles, Weights, save_weights
from trainer.records.folder import RunFolder, devices_name, open_folder, write_environment
from trainer.report.report import report_written
from trainer.runs.disk_space import refuse_full_disk
from trainer.runs.listeners import Watch, listeners
from trainer.runs.resume import continue_from, refuse_changes, refuse_other_images
from trainer.torch_errors import explain_torch_error, is_out_of_memory
from trainer.training.early_stopping import EarlyStopping
from trainer.training.engine import Engine, NonFiniteLoss, TrainingPlan
from trainer.training.keep_swa import keep_swa
from trainer.training.stepper import Stepper
from trainer.training.stop_signals import StopSignal, stop_on_signals
from utils.errors import Interrupted, UserError
from utils.events import Fault, Listener, RunFailed, RunFinished, RunInterrupted, RunStarted
from utils.files import write_text
from utils.lock import locked
from utils.log import FILE_ONLY
from utils.redact import redact
from utils.seed import seed_everything

log = logging.getLogger(__name__)


def train(config: Config, *, resume: bool, command: str, watch: Watch | None = None) -> RunFolder:
    """Train as `config` says, or continue the run of its name; returns the finished run's folder.

    `command` continues the run; it is told where the run is stopped. Raises `UserError` for what the user can mend
    and `Interrupted` where somebody asked the run to stop, with its state saved.
    """
    accelerator = start_accelerator()
    with fail_together(accelerator) as alarm:
        split = find_split(config)
        refuse_difference(accelerator, settings=[dump(config)], images=split.keys)
        folder = RunFolder(config.folder)
        with occupied(folder, accelerator):
            if accelerator.is_main_process:
                open_folder(folder, resume=resume, replace=config.run.if_exists == "replace")
                if resume:
                    refuse_changes(config, folder, accelerator.num_processes)
            accelerator.wait_for_everyone()
            with listeners(config, folder, watch, command=command, is_main=accelerator.is_main_process) as emit:
                parts = (config, split, folder, accelerator, emit, alarm)
                end = complete(*parts, resume=resume, command=command, watch=watch)
                if accelerator.is_main_process:
                    emit(report_written(folder))
                    write_text(folder.finished, json.dumps(as_json(end), indent=2) + "\n")
    return folder


def occupied(folder: RunFolder, accelerator: Accelerator) -> AbstractContextManager[None]:
    """Keep others from training in this folder. Raises `UserError` where somebody does already."""
    if not accelerator.is_main_process:
        return nullcontext()
    return locked(folder.lock, f"{folder.path}: this run is being trained already")


def complete(
    config: Config,
    split: Split,
    folder: RunFolder,
    accelerator: Accelerator,
    emit: Listener,
    alarm: Alarm,
    *,
    resume: bool,
    command: str,
    watch: Watch | None,
) -> RunFinished:
    """Train to the end, and tell how it ended, whatever the end is."""
    started_s, engine, signals = time.monotonic(), None, StopSignal()
    alarm.on_failure = lambda error: emit_failure(error, config, folder, emit, command)
    try:
        with stop_on_signals() as signals:
            engine = prepare(config, split, folder, accelerator, emit, either(signals.has_come, watch))
            if resume:
                refuse_other_images(folder.validation, split.valid)
                continue_from(engine, StateFiles(folder.checkpoints, keep=config.checkpoint.keep))
            emit(started(config, split, folder, engine))
            best = engine.fit()
            if config.trainer.swa_from_epoch is not None:
                keep = keeper(config, split.valid, folder.swa_weights, folder.swa_validation)
                keep_swa(engine, on_main(accelerator, keep))
        end = finished(config, folder, engine, best, time.monotonic() - started_s)
        emit(end)
        return end
    except Interrupted as stop:
        stopped_at = (stop.epoch, stop.batches_done, command, signals.name)
        emit(RunInterrupted(config.title, folder.path, *stopped_at))
        raise
    except Exception as error:
        words = explain_torch_error(error, config, accelerator.device, engine.loader if engine else None)
        cause = alarm.first_failure(words or error)
        fault: Fault = "memory" if is_out_of_memory(error) else "error"
        emit_failure(cause, config, folder, emit, command, fault)
        if cause is not error:
            raise cause from error
        raise


def either(asked: Callable[[], bool], watch: Watch | None) -> Callable[[], bool]:
    """Whether a signal or `watch` asks the run to stop; it is only asked where no signal came."""
    return asked if watch is None else lambda: asked() or watch.stop_requested()


def emit_failure(
    error: Exception, config: Config, folder: RunFolder, emit: Listener, command: str, fault: Fault = "error"
) -> None:
    """Log the error, with its traceback where it is our own, and tell it with the command that may help."""
    ours = None if isinstance(error, UserError) else error
    log.error("%s", error, exc_info=ours, extra=FILE_ONLY)
    if isinstance(error, NonFiniteLoss):
        emit(RunFailed(config.title, folder.path, str(error), fault="nan"))
        return
    trace = "".join(traceback.format_exception(ours)) if ours else ""
    reason = str(error) or type(error).__name__
    emit(RunFailed(config.title, folder.path, reason, command if folder.has_state else None, fault, redact(trace)))


def prepare(
    config: Config,
    split: Split,
    folder: RunFolder,
    accelerator: Accelerator,
    emit: Listener,
    stop_requested: Callable[[], bool],
) -> Engine:
    """Build everything, and record what is run on what."""
    seed_everything(config.seed)
    task = TASKS[config.task]
    if accelerator.is_main_process:
        write_text(folder.config, dump(config))
        write_environment(folder, accelerator)
    loader = build_loader(config, split.train, accelerator)
    train_state = build_train_state(config, len(task.classes), len(loader), accelerator)
    seed_ranks(accelerator, config.seed)
    states = StateFiles(folder.checkpoints, keep=config.checkpoint.keep)
    if accelerator.is_main_process:
        refuse_full_disk(folder, states, train_state)
    return Engine(
        Stepper(train_state, accumulate=config.trainer.accumulate, clip_norm=config.trainer.clip_norm),
        loader,
        build_validator(config, train_state, split.valid, emit),
        build_stopping(config),
        training_plan_of(config),
        save_state=on_main(accelerator, states.save),
        save_best=on_main(accelerator, keeper(config, split.valid, folder.best_weights, folder.validation)),
        emit=emit,
        stop_requested=stop_requested,
    )


def training_plan_of(config: Config) -> TrainingPlan:
    """How long, how often; a fast development run is one epoch."""
    stopping = config.early_stopping
    return TrainingPlan(
        epochs=1 if config.trainer.fast_dev_run else config.trainer.epochs,
        evaluate_every=config.trainer.evaluate_every,
        save_every_steps=config.checkpoint.every_steps,
        monitor=stopping.metric if stopping else "dice",
    )


def keeper(
    config: Config, valid: Sequence[Sample], weights_file: Path, validation_file: Path
) -> Callable[[nn.Module, int, DiceTable], None]:
    """Writes a network, and how it scored on each image, into these files."""
    task = TASKS[config.task]
    strata = strata_of(task, valid)

    def keep(model: nn.Module, epoch: int, dice: DiceTable) -> None:
        weights = Weights(model.state_dict(), task.classes, as_dict(config), epoch, dice.mean)
        save_weights(weights_file, weights)
        write_validation(validation_file, epoch, dice, strata)

    return keep


def started(config: Config, split: Split, folder: RunFolder, engine: Engine) -> RunStarted:
    train_state = engine.stepper.train_state
    return RunStarted(
        name=config.title,
        folder=folder.path,
        epochs=engine.plan.epochs,
        first_epoch=engine.epoch,
        train_images=len(split.train),
        valid_images=len(split.valid),
        device=devices_name(train_state.accelerator),
        precision=train_state.precision.name,
    )


def finished(config: Config, folder: RunFolder, engine: Engine, best: EarlyStopping, seconds: float) -> RunFinished:
    return RunFinished(
        name=config.title,
        folder=folder.path,
        epochs_done=engine.epoch,
        best=best.best,
        best_epoch=best.best_epoch,
        seconds=seconds,
        stopped_early=engine.epoch < engine.plan.epochs,
    )


def as_json(end: RunFinished) -> dict[str, Any]:
    """How a run ended, for its folder; epochs count from 1 there."""
    return {
        "epochs_done": end.epochs_done,
        "best": end.best,
        "best_epoch": end.best_epoch + 1,
        "seconds": round(end.seconds, 1),
        "stopped_early": end.stopped_early,
    }


def on_main(accelerator: Accelerator, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` in the main process, nothing in the others: one process writes the run's files."""
    return function if accelerator.is_main_process else lambda *_: None
