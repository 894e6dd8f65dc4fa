"""Measure what a config needs on this machine.

Time, memory, loader processes and disk, from a few real steps; `python -m utils.doctor --config FILE` adds a time limit
and looks at the machine as well.
"""

from __future__ import annotations

import logging

import torch
from accelerate import Accelerator

from configs.schema import Config
from trainer.measure.probe import Probe, find_material, find_pretrained, time_loading
from trainer.measure.record import Record
from trainer.measure.requirements import (
    Images,
    Plan,
    check_files,
    check_images,
    check_loading,
    check_memory,
    check_pretrained,
    check_steps,
    check_time,
    check_workers,
)
from trainer.torch_errors import explain_torch_error
from utils.doctor.finding import problem, time_text
from utils.seed import seed_everything

log = logging.getLogger(__name__)

WAYS_TO_SAVE = (
    "trainer.batch_size smaller (and trainer.accumulate larger by as much), model.checkpoint_gradients=true, or "
    "transform.size_px smaller"
)


def measure(config: Config, record: Record) -> None:
    """Measure what the config needs and record it. Raises `UserError` for a fault of the config or the data."""
    accelerator = Accelerator(mixed_precision="no")
    seed_everything(config.seed)
    try:
        measure_parts(config, record, accelerator)
    except Exception as error:
        sentence = explain_torch_error(error, config, accelerator.device)
        if sentence is None:
            raise
        record.add([problem("memory", f"at {record.stage}: {sentence}", "then measure again")])


def measure_parts(config: Config, record: Record, accelerator: Accelerator) -> None:
    """Measure data, loading, files, steps and scoring, in this order: what is quick comes first."""
    record.enter("looking at the data set")
    material = find_material(config)
    images = Images(str(config.data.root), len(material.split.train), len(material.split.valid), material.fault)
    record.add([check_images(images)], images=images)
    pretrained = find_pretrained(config)
    if pretrained is not None:
        record.add([check_pretrained(pretrained)], pretrained=pretrained)
    record.enter("loading a few samples")
    loading, batch = time_loading(config, material, accelerator)
    record.add(check_loading(loading), loading=loading)
    record.enter("building the network")
    probe = Probe(config, batch, accelerator)
    files = probe.size_files()
    record.add([check_files(files)], files=files)
    work = describe_step(config)
    record.enter(f"the first training step, {work}")
    steps = probe.time_steps(
        lambda first_s: record.enter(f"training steps, {work}; the first took {time_text(first_s)}")
    )
    record.add([*check_steps(steps), check_workers(loading, steps)], steps=steps)
    record.enter("scoring a few images")
    scoring, memory = probe.time_scoring(material), probe.memory()
    plan = plan_of_run(config, batch.batches_per_epoch)
    time = check_time(images, loading, steps, scoring, plan)
    record.add([check_memory(memory, steps.on_gpu, WAYS_TO_SAVE), time], scoring=scoring, memory=memory, plan=plan)


def plan_of_run(config: Config, batches_per_epoch: int) -> Plan:
    """Return how often each part of the work is done; the last epoch is always scored."""
    settings, stops_early = config.trainer, config.early_stopping is not None
    if settings.rounds is not None:
        steps, evaluations = settings.rounds.steps, settings.rounds.count
        return Plan(1, steps * settings.accumulate, evaluations, stops_early, steps)
    if settings.fast_dev_run:
        return Plan(1, batches_per_epoch, 1, stops_early)
    return Plan(settings.length, batches_per_epoch, settings.evaluations, stops_early)


def describe_step(config: Config) -> str:
    """Return the work of a step in words: `4 images of 1536 px through unetplusplus on this CPU`."""
    size = config.transform.size_px
    size_px = size if isinstance(size, int) else " x ".join(map(str, size))
    device = "a GPU" if torch.cuda.is_available() else "this CPU"
    return f"{config.trainer.batch_size} images of {size_px} px through {config.model.name} on {device}"
