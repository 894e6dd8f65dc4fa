"""Resume a run: check what has changed since it began, and load its newest state."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from configs.changes import flattened, may_change
from configs.loading.load import as_dict, load
from configs.schema import Config
from data.sample import Sample
from trainer.distributed.processes import from_main
from trainer.records.checkpoint import StateFiles
from trainer.records.environment import processes_of
from trainer.records.folder import RunFolder
from trainer.runs.stored_config import refuse_shorter
from trainer.training.engine import Engine
from utils.errors import UserError
from utils.rounds import counted_in, done_after

log = logging.getLogger(__name__)


def refuse_changes(config: Config, folder: RunFolder, processes: int | None = None) -> None:
    """Raise `UserError` with every key in which `config` differs from the run's own, but for those that may change.

    The number of processes may change together with `trainer.batch_size`, as long as a whole batch keeps its size;
    None for a run that is not resumed.

    A state fits the network, optimizer, schedule and held-out fold that it was saved with; any other would be refused
    by torch at best, and mix training with held-out images at worst. A run that was killed before it wrote its
    configuration has no state either.
    """
    if not folder.config.exists():
        return
    stored = load(folder.config)
    refuse_shorter(stored, config)
    before, now = (dict(flattened(as_dict(each))) for each in (stored, config))
    if processes is not None:
        refuse_other_batches(stored, config, processes_of(folder), processes)
        now["trainer.batch_size"] = before["trainer.batch_size"]
    changed = sorted(
        key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and not may_change(key)
    )
    if changed:
        keys = ", ".join(f"{key} (was {before.get(key)}, now {now.get(key)})" for key in changed)
        raise UserError(f"--resume: this run was begun with other settings: {keys}. Give the same, or a new run.name.")


def refuse_other_batches(stored: Config, config: Config, processes_before: int, processes: int) -> None:
    """Raise `UserError` if a whole batch, that of all processes, would hold more or fewer images than before."""
    before, now = stored.trainer.batch_size, config.trainer.batch_size
    if before * processes_before != now * processes:
        raise UserError(
            f"--resume: this run was begun with trainer.batch_size={before} in {in_processes(processes_before)}, now "
            f"it is {now} in {in_processes(processes)}. Give the same, or another pair with the same product."
        )


def in_processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def continue_from(engine: Engine, states: StateFiles) -> None:
    """Load the newest complete state; a run without a state starts with its first step."""
    accelerator = engine.stepper.train_state.accelerator
    found = from_main(accelerator, states.load_newest)
    if found is None:
        log.info("%s: no saved state yet, starting from the first step", states.folder)
        return
    path, state = found
    if accelerator.is_main_process:
        states.forget_newer(path)
    try:
        engine.resume(state)
    except (RuntimeError, LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(
            f"{path}: is the state of another network, optimizer or version. Put this run's own state back, or start "
            "over with run.if_exists=replace."
        ) from error
    refuse_shorter_round(engine)
    log.info("%s", where_it_goes_on(engine, path))


def refuse_shorter_round(engine: Engine) -> None:
    """Raise `UserError` for a finished training of steps to be continued whose last evaluation came early.

    Its rounds would begin at other steps than the numbers of `trainer.evaluate_every_steps` say.
    """
    rounds, steps_done = engine.plan.rounds, engine.stepper.steps_done
    if rounds is not None and not engine.batches_done and steps_done < rounds.end(engine.epoch - 1):
        raise UserError(
            f"trainer.steps={rounds.steps}: this run has ended at step {steps_done}, which is no multiple of "
            f"trainer.evaluate_every_steps ({rounds.every}), so it cannot go on as if it had never ended. Begin a new "
            "run with its weights: model.weights=<run>/checkpoints/best.safetensors."
        )


def where_it_goes_on(engine: Engine, state: Path) -> str:
    """Return in words how far a resumed training is."""
    plan, rounds = engine.plan, engine.plan.rounds
    if engine.epoch >= plan.epochs:
        unit = counted_in(rounds)
        done, total = done_after(engine.epoch - 1, rounds), done_after(plan.epochs - 1, rounds)
        return f"this run is finished, {unit} {done} of {total} is done; to train longer, raise trainer.{unit}s"
    if rounds is not None:
        return f"{state.name}: continuing after {engine.stepper.steps_done} of {rounds.steps} steps"
    return f"{state.name}: continuing in epoch {engine.epoch + 1} after {engine.batches_done} batches"


def refuse_other_images(validation: Path, held_out: Sequence[Sample]) -> None:
    """Raise `UserError` if the run has been scored on other images than it would hold out now.

    Images may have come or gone, or the files of `data.fold_files` changed, while the config stays the same: the run
    would be trained on what it held out.
    """
    try:
        before = set(json.loads(validation.read_text(encoding="utf-8"))["images"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return  # not scored yet
    now = {sample.name for sample in held_out}
    if before != now:
        example = min(before ^ now)
        raise UserError(
            f"--resume: this run held out other images before ({example} was {'in' if example in before else 'not in'} "
            "it), so its score would be of images that it was trained on. Put the data and fold files back as they "
            "were, or give a new run.name."
        )
