"""From a config to objects: `assemble` is the one place that knows every package."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from configs.blocks.images import Transform
from configs.blocks.prediction import Tta
from configs.blocks.training import VALID_LOSS
from configs.schema import Config
from data.dataset import EpochSampler, OtherPictures, Reader, RoundSampler, SegmentationDataset
from data.sample import Sample
from data.task import Task
from loss import Loss
from loss.deep import FeatureSupervision
from models import input_step_px
from models.precision import choose_precision
from models.sync_batch_norm import share_batch_statistics
from runtime.settings import refinements, refuse_keys_of_hard_masks
from scheduler import Horizon, Schedule
from trainer.distributed.processes import distribute, seed_ranks
from trainer.evaluation.validator import Validator
from trainer.input_sizes import check_sizes, sizes_trained_on, windows_of
from trainer.prediction.decode import DECODERS
from trainer.prediction.predictor import Predictor
from trainer.prediction.tta import AVERAGES, views
from trainer.records.teacher_file import check_teacher
from trainer.split import Split, sampling_weights
from trainer.training.averages import Ema, Swa
from trainer.training.batch_norm import calibrate_batch_norm
from trainer.training.early_stopping import EarlyStopping
from trainer.training.engine import TrainingPlan
from trainer.training.freezing import freeze, norms_kept_of, refuse_folded_norms
from trainer.training.loader import TrainLoader
from trainer.training.stepper import Stepper, TrainState
from transform import MaskFormat, Normalisation, Pipeline, Sources
from utils.config.component import Component
from utils.errors import UserError
from utils.events import Listener
from utils.files import expand
from utils.processes import process_ranks
from utils.progress import track
from utils.seed import seed_everything
from utils.system.cores import usable_cores
from utils.system.gpu import choose_kernels

log = logging.getLogger(__name__)

PRETRAINED_KEYS = ("encoder_weights", "weights", "gt_encoder")
"""Parameters of models that name weights of others, to start or to train with."""


@dataclass(frozen=True)
class Assembly:
    """All parts of one run, built from its config: what works with them reads no config."""

    task: Task
    split: Split
    loader: TrainLoader
    stepper: Stepper
    validator: Validator
    stopping: EarlyStopping
    plan: TrainingPlan
    kept_weights: int
    """How many weights the run keeps beside the best ones."""

    @property
    def train_state(self) -> TrainState:
        """Network, loss, optimizer and schedule."""
        return self.stepper.train_state


def assemble(config: Config, split: Split, accelerator: Accelerator, emit: Listener = lambda _: None) -> Assembly:
    """Build all parts of a run. Random states are set first, so that the same config gives the same weights."""
    seed_everything(config.seed)
    task = config.chosen_task
    loader = build_loader(config, split.train, accelerator)
    batches_per_epoch = loader.sampler.batches_per_pass
    kept_weights = count_kept_weights(config, batches_per_epoch)
    train_state = build_train_state(config, batches_per_epoch, accelerator, loader)
    # From here on every process draws random numbers of its own.
    seed_ranks(accelerator, config.seed)
    return Assembly(
        task=task,
        split=split,
        loader=loader,
        stepper=Stepper(train_state, accumulate=config.trainer.accumulate, clip_norm=config.trainer.clip_norm),
        validator=build_validator(config, train_state, split.valid, emit),
        stopping=build_stopping(config),
        plan=build_plan(config),
        kept_weights=kept_weights,
    )


def build_loader(
    config: Config, samples: Sequence[Sample], accelerator: Accelerator, read: Reader | None = None
) -> TrainLoader:
    """Build the loader of this process's augmented batches, in epochs or in rounds of steps.

    `read` reads samples, None: as the task does.
    """
    dataset, sampler = build_dataset(config, samples, read), build_sampler(config, samples, accelerator)
    workers = useful_workers(config.data.workers, process_ranks().local_world)
    return TrainLoader(dataset, sampler, workers=workers, prefetch=config.data.prefetch, device=accelerator.device)


def build_sampler(config: Config, samples: Sequence[Sample], accelerator: Accelerator) -> EpochSampler:
    """Build what draws the images of an epoch, or of a round if the training is counted in steps."""
    settings, size = config.trainer, len(samples)
    shared: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": config.seed,
        "weights": sampling_weights(config, samples),
        "rank": accelerator.process_index,
        "world": accelerator.num_processes,
    }
    if settings.rounds is None:
        return EpochSampler(size, **shared)
    return RoundSampler(size, rounds=settings.rounds, accumulate=settings.accumulate, **shared)


def build_dataset(config: Config, samples: Sequence[Sample], read: Reader | None = None) -> SegmentationDataset:
    """Build what reads and augments the training samples. Overfitting a few batches leaves the augmentation out."""
    task = config.chosen_task
    read = read or task.read
    specs = config.transform.evaluate if config.trainer.overfit_batches else config.transform.train
    sources = OtherPictures(samples, read, task.layout.find_images, task.read_image)
    return SegmentationDataset(samples, read, build_pipeline(config, task, specs, sources), seed=config.seed)


def useful_workers(wanted: int, processes: int) -> int:
    """Return how many loader processes to start: at most one per core.

    `processes` of the run share this machine's cores.
    """
    cores = usable_cores()
    useful = min(wanted, max(1, cores // processes))
    if useful < wanted:
        log.info("data.workers: %d asked for, %d cores here, so %d are started", wanted, cores, useful)
    return useful


def build_train_state(
    config: Config, batches_per_epoch: int, accelerator: Accelerator, loader: TrainLoader | None = None
) -> TrainState:
    """Build network, loss, optimizer and schedule, on their device; `loader` gives the images to calibrate norms on."""
    task, settings = config.chosen_task, config.trainer
    refuse_contradictions(config)
    choose_kernels(accelerator.device.type, deterministic=settings.deterministic, search=settings.cudnn_benchmark)
    model = build_model(config)
    refuse_what_only_predicts(config, model)
    check_sizes(config, model, task)
    if accelerator.num_processes > 1 and settings.sync_batch_norm:
        model = share_batch_statistics(model)
    model = model.to(accelerator.device)
    norms_kept = prepare_norms(config, model, loader)
    loss = build_loss(config, model)
    network = distribute(accelerator, model, (task.channels, *next(iter(sizes_trained_on(config)))), loss)
    if settings.compile:
        network = torch.compile(network)  # type: ignore[assignment]
    optimizer = config.optimizer.build(model)
    return TrainState(
        accelerator=accelerator,
        precision=choose_precision(settings.precision, accelerator.device),
        normalise=normalisation(config.transform),
        model=model,
        network=network,
        loss=loss,
        unpack=task.encoding.unpack,
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, batches_per_epoch),
        ema=Ema(model, settings.ema_decay) if settings.ema_decay else None,
        swa=None if settings.swa_first_epoch is None else Swa(settings.swa_first_epoch),
        norms_kept=norms_kept,
    )


def refuse_what_only_predicts(config: Config, model: nn.Module) -> None:
    """Raise `UserError` for a network or a size of images that is for prediction alone."""
    if getattr(model, "only_predicts", False):
        raise UserError(
            f"model: '{config.model.name}' predicts with weights of others and cannot be trained here. Predict with "
            "inference.py --run FILE, or name another network."
        )
    if config.transform.keep_ratio:
        raise UserError(
            "transform.keep_ratio: is for prediction alone, since the images of a batch have one size. Write false."
        )


def refuse_contradictions(config: Config) -> None:
    """Raise `UserError` for settings of the device that exclude each other."""
    if config.trainer.compile and getattr(config.model.params, "checkpoint_gradients", False):
        raise UserError(
            "trainer.compile: gains nothing with model.checkpoint_gradients, since blocks that recompute their "
            "activations stay uncompiled, and they are nearly all of the network. Write false for one of the two."
        )
    if config.trainer.deterministic and config.trainer.cudnn_benchmark:
        raise UserError(
            "trainer.cudnn_benchmark: takes the fastest kernels, and trainer.deterministic those that always give the "
            "same bits. Write false for one of the two."
        )


def build_schedule(config: Config, optimizer: Optimizer, batches_per_epoch: int) -> Schedule:
    """Build the schedule for the length of the run. Raises `UserError` for one that moves by epochs if it has none."""
    horizon = horizon_of(config, batches_per_epoch)
    schedule: Schedule = config.scheduler.build(optimizer, horizon)
    if schedule.unit == "epoch" and horizon.counts_steps:
        raise UserError(
            f"scheduler: '{config.scheduler.name}' moves at the end of an epoch, but trainer.steps counts the training "
            "in steps. Take one that moves by steps, such as cosine, or give trainer.epochs."
        )
    return schedule


def horizon_of(config: Config, batches_per_epoch: int) -> Horizon:
    """Return how long a run is; `batches_per_epoch` are those of this process in a pass over its images."""
    settings = config.trainer
    steps_per_epoch = -(-batches_per_epoch // settings.accumulate)
    return Horizon.of(settings.length, steps_per_epoch, counts_steps=settings.unit == "step")


def count_kept_weights(config: Config, batches_per_epoch: int) -> int:
    """Return how many weights the run keeps beside the best ones. Raises `UserError` if it ends before the first."""
    every, steps = config.checkpoint.keep_every_steps, horizon_of(config, batches_per_epoch).steps
    if every is None or config.trainer.fast_dev_run:
        return 0
    if every > steps:
        raise UserError(
            f"checkpoint.keep_every_steps={every}: the run ends after {steps} optimizer steps, so no weights would be "
            "kept. Give a smaller number, or null."
        )
    return steps // every


def prepare_norms(config: Config, model: nn.Module, loader: TrainLoader | None) -> tuple[nn.Module, ...]:
    """Freeze parts of a network and calibrate its norms as configured; return the norms whose statistics stay.

    Several processes calibrate on images of their own; they are given the main process's norms when they are joined.
    """
    settings, device = config.trainer, next(model.parameters()).device
    freeze(model, settings.freeze)
    norms_kept = norms_kept_of(model, every=settings.freeze_norms)
    if settings.calibrate_norms and loader is not None:
        batches = track(islice(loader.batches(0), settings.calibrate_norms), "Batch norm", settings.calibrate_norms)
        precision = choose_precision(settings.precision, device)
        calibrate_batch_norm(model, (images for images, _ in batches), normalisation(config.transform), precision)
    refuse_folded_norms(model, norms_kept)
    return norms_kept


def build_loss(config: Config, model: nn.Module) -> Loss:
    """Build the loss; of a network with a teacher, with the part that compares the maps of both."""
    loss: Loss = config.loss.build()
    teacher = getattr(model, "teacher", None)
    if teacher is None:
        return loss
    check_teacher(Path(expand(config.model.as_dict()["gt_encoder"])))
    return FeatureSupervision(loss, teacher, teacher.weight)


def build_model(config: Config) -> nn.Module:
    """Build the network for the task's classes and channels, in the memory layout that convolutions prefer."""
    task = config.chosen_task
    model: nn.Module = config.model.build(len(task.classes), task.channels)
    return model.to(memory_format=torch.channels_last) if config.trainer.channels_last else model  # type: ignore[call-overload]


def build_pipeline(config: Config, task: Task, specs: Sequence[Component], sources: Sources | None = None) -> Pipeline:
    """Build the resize to the network's input and the transforms that follow it, for the masks of a task.

    `sources`: the samples and pictures that transforms may take, in training.
    """
    transforms = [spec.build() for spec in specs]
    masks = MaskFormat(task.classes, soft=task.encoding.soft)
    block = config.transform
    return Pipeline(
        transforms, size_px=block.size_px, keep_ratio=block.keep_ratio, pad=block.pad, masks=masks, sources=sources
    )


def build_validator(config: Config, train_state: TrainState, samples: Sequence[Sample], emit: Listener) -> Validator:
    """Build what scores a network on the held-out samples, by the path that a prediction takes."""
    task = config.chosen_task
    accelerator = train_state.accelerator
    return Validator(
        predictor=build_predictor(config, train_state.model, accelerator.device, validating=True),
        samples=samples,
        read=task.read,
        unpack=task.encoding.unpack,
        metric=task.metrics[0],
        classes=task.classes,
        loss=train_state.loss,
        emit=emit,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )


def build_predictor(config: Config, network: nn.Module, device: torch.device, *, validating: bool = False) -> Predictor:
    """Build all that surrounds a network at prediction; `validating`: while a run trains.

    Raises `UserError` for settings that do not fit the task.
    """
    task = config.chosen_task
    refuse_keys_of_hard_masks(config.predict, task)
    pipeline = build_pipeline(config, task, config.transform.evaluate)
    if pipeline.changes_geometry:
        raise UserError(
            "transform.evaluate: a transform here moves or replaces pixels, so predictions would not fit. Keep only "
            "intensity transforms; transform.size_px resizes, and predictions are brought back to the native size."
        )
    settings = config.predict
    tta = Tta() if validating and not settings.tta.validation else settings.tta
    return Predictor(
        network=network,
        transform=pipeline,
        normalise=normalisation(config.transform),
        precision=choose_precision(config.trainer.precision, device),
        device=device,
        decoder=DECODERS[task.encoding.name](
            settings.threshold,
            tuple(spec.build() for spec in settings.postprocess),
            () if validating else refinements(settings, task),
        ),
        batch_size=config.trainer.evaluate_batch_size,
        read_image=task.read_image,
        views=views(hflip=tta.hflip, scales=tta.scales, rotations_deg=tta.rotations_deg, gammas=tta.gammas),
        windows=windows_of(settings.windows),
        average=AVERAGES[settings.average],
        step_px=input_step_px(network),
        channels=task.channels,
        zoom=settings.zoom and not validating,
    )


def build_stopping(config: Config) -> EarlyStopping:
    """Build early stopping as configured; without it the best epoch is recorded all the same."""
    section = config.early_stopping
    if section is None:
        return EarlyStopping(mode=config.chosen_task.metric.mode)
    return EarlyStopping(patience=section.patience, min_delta=section.min_delta, mode=section.mode or "max")


def build_plan(config: Config) -> TrainingPlan:
    """Build the plan of how long to train and how often to score and save; a fast development run is one epoch."""
    stopping, settings, rounds = config.early_stopping, config.trainer, config.trainer.rounds
    epochs = settings.length if rounds is None else rounds.count
    return TrainingPlan(
        epochs=1 if settings.fast_dev_run else epochs,
        evaluate_every=settings.evaluate_every or 1,
        rounds=rounds,
        save_every_steps=config.checkpoint.every_steps,
        keep_every_steps=config.checkpoint.keep_every_steps,
        scores_start=getattr(config.model.params, "weights", None) is not None,
        monitors_loss=stopping is not None and stopping.metric == VALID_LOSS,
    )


def normalisation(transform: Transform) -> Normalisation:
    """Build the normalisation that a config asks for."""
    return Normalisation(transform.mean, transform.std, transform.divide_by_maximum)


def without_pretraining(config: Config) -> Config:
    """The same network, to be filled from a file of ours: nothing is fetched for it."""
    params = config.model.params
    files = {key: None for key in PRETRAINED_KEYS if key in type(params).model_fields}
    bare = replace(config.model, params=params.model_copy(update=files))
    return config.model_copy(update={"model": bare})
