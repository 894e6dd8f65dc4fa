"""From a configuration to objects: the one place that knows every package."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from configs.loading.load import from_mapping
from configs.prediction import Tta
from configs.schema import Config, Transform
from data.check.refuse import refuse_broken
from data.dataset import EpochSampler, SegmentationDataset
from data.folds.files import split_by_file
from data.folds.split import split_by_patient
from data.hand_bone.wrist import BENT
from data.sample import Sample
from data.task import TASKS, Task
from models import input_step_px
from models.precision import choose_precision
from models.sync_batch_norm import share_batch_statistics
from scheduler import Horizon
from trainer.distributed.processes import distribute
from trainer.evaluation.validator import Validator
from trainer.extra import extra_samples, root_weights
from trainer.input_sizes import check_predicted_sizes, check_sizes, sizes_trained_on, windows_of
from trainer.prediction.predictor import Predictor
from trainer.prediction.tta import AVERAGES, views
from trainer.records.checkpoint import Weights, load_weights
from trainer.training.early_stopping import EarlyStopping
from trainer.training.ema import Ema
from trainer.training.loader import TrainLoader
from trainer.training.stepper import TrainState
from trainer.training.swa import Swa
from transform import MaskFormat, Normalisation, Pipeline
from utils.errors import UserError
from utils.events import Listener
from utils.parallel import map_ahead
from utils.processes import place
from utils.system.cores import usable_cores

log = logging.getLogger(__name__)

FAST_BATCHES = 2
"""Batches to train on, and images to score, in a fast development run."""


@dataclass(frozen=True)
class Split:
    """The samples of one run."""

    train: Sequence[Sample]
    valid: Sequence[Sample]

    @property
    def keys(self) -> list[str]:
        """The names of all samples, those to train on first."""
        return [sample.key for sample in [*self.train, *self.valid]]


def find_split(config: Config, *, checked: bool = True) -> Split:
    """The training and held-out samples that the configuration speaks of; every image and label is checked first.

    `checked=False` only lists them, for data that a run has been through already.
    """
    task, data = TASKS[config.task], config.data
    folder = Path(data.root) / "train"
    if not folder.is_dir():
        raise UserError(
            f"data.root={data.root}: there is no folder {folder}. Put the contest's data there (train/DCM, "
            "train/outputs_json, test/DCM), name another folder with data.root=…, or run `make demo` to see Carpus "
            "work on rendered hands."
        )
    samples = task.find_samples(folder, labelled=True, exclude=data.exclude)
    own, valid = divided(config, samples, folder)
    extra = extra_samples(config, own, valid, told=checked)
    train = [*own, *extra]
    if checked:
        refuse_broken([*samples, *extra], task.check)
    batch = config.trainer.batch_size
    if config.trainer.overfit_batches:
        few = train[: config.trainer.overfit_batches * batch]
        return Split(few, few)
    if config.trainer.fast_dev_run:
        return Split(train[: FAST_BATCHES * batch], valid[:FAST_BATCHES])
    return Split(train, valid)


def divided(config: Config, samples: Sequence[Sample], folder: Path) -> tuple[list[Sample], list[Sample]]:
    """The (training, held-out) samples, as the files of `data.fold_files` say or as `data.folds` divides patients."""
    data = config.data
    if data.fold_files is None:
        return split_by_patient(samples, data.folds, config.held_out)
    left_out: set[str] = set()
    if data.exclude:
        kept = {sample.name for sample in samples}
        left_out = {sample.name for sample in TASKS[config.task].find_samples(folder, labelled=False)} - kept
    return split_by_file(samples, data.fold_files, config.held_out, left_out)


def sampling_weights(config: Config, samples: Sequence[Sample]) -> list[float] | None:
    """How often each sample is drawn against the others: the product of its weights. None where all are alike."""
    weights = np.prod([bent_weights(config, samples), root_weights(config, samples)], axis=0).tolist()
    return weights if len(set(weights)) > 1 else None


def bent_weights(config: Config, samples: Sequence[Sample]) -> list[float]:
    """The weight of each sample's wrist. Reads every label where they differ."""
    task, weight = TASKS[config.task], config.data.bent_weight
    if weight == 1:
        return [1.0] * len(samples)
    if BENT not in task.strata:
        raise UserError(f"data.bent_weight: task '{task.name}' knows no bent wrists. Leave the key out.")
    strata = strata_of(task, samples)
    bent = sum(strata[sample.name] == BENT for sample in samples)
    log.info("data.bent_weight: %d of %d training hands have a bent wrist", bent, len(samples))
    if not bent:
        log.warning("data.bent_weight: has no effect, for no hand to train on has a bent wrist")
    return [weight if strata[sample.name] == BENT else 1.0 for sample in samples]


def strata_of(task: Task, samples: Sequence[Sample]) -> dict[str, str | None]:
    """The stratum (straight or bent wrist) of each labelled sample by name, from its label alone."""
    return dict(map_ahead(lambda sample: (sample.name, task.stratum_of_label(sample)), samples))


def build_loader(config: Config, samples: Sequence[Sample], accelerator: Accelerator) -> TrainLoader:
    """The augmented batches of this process. Overfitting a few batches leaves the augmentation out."""
    settings = config.trainer
    names = config.transform.evaluate if settings.overfit_batches else config.transform.train
    masks = mask_format(TASKS[config.task])
    pipeline = Pipeline([spec.build() for spec in names], size_px=config.transform.size_px, masks=masks)
    dataset = SegmentationDataset(samples, TASKS[config.task].read, pipeline, seed=config.seed)
    sampler = EpochSampler(
        len(samples),
        batch_size=settings.batch_size,
        seed=config.seed,
        weights=sampling_weights(config, samples),
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
    workers = useful_workers(config.data.workers, place().local_world)
    return TrainLoader(dataset, sampler, workers=workers, prefetch=config.data.prefetch, device=accelerator.device)


def useful_workers(wanted: int, processes: int) -> int:
    """At most one loader process per core; more would only get in each other's way.

    `processes` of the run share this machine's cores.
    """
    cores = usable_cores()
    useful = min(wanted, max(1, cores // processes))
    if useful < wanted:
        log.info("data.workers: %d asked for, %d cores here, so %d are started", wanted, cores, useful)
    return useful


def build_train_state(config: Config, classes: int, steps_per_epoch: int, accelerator: Accelerator) -> TrainState:
    """Network, loss, optimizer and schedule, on their device."""
    settings = config.trainer
    model = build_model(config, classes)
    check_sizes(config, model)
    if accelerator.num_processes > 1 and settings.sync_batch_norm:
        model = share_batch_statistics(model, accelerator.device)
    model = model.to(accelerator.device)
    network = distribute(accelerator, model, next(iter(sizes_trained_on(config))))
    if settings.compile:
        network = torch.compile(network)  # type: ignore[assignment]
    optimizer = config.optimizer.build(model)
    horizon = Horizon(epochs=settings.epochs, steps_per_epoch=-(-steps_per_epoch // settings.accumulate))
    return TrainState(
        accelerator=accelerator,
        precision=choose_precision(settings.precision, accelerator.device),
        normalise=normalisation(config.transform),
        model=model,
        network=network,
        loss=config.loss.build(),
        unpack=TASKS[config.task].encoding.unpack,
        optimizer=optimizer,
        schedule=config.scheduler.build(optimizer, horizon),
        ema=Ema(model, settings.ema_decay) if settings.ema_decay else None,
        swa=Swa(settings.swa_from_epoch - 1) if settings.swa_from_epoch else None,
    )


def build_model(config: Config, classes: int) -> nn.Module:
    """The network with weights as configured, in the memory layout that convolutions prefer."""
    model: nn.Module = config.model.build(classes)
    return model.to(memory_format=torch.channels_last) if config.trainer.channels_last else model  # type: ignore[call-overload]


def build_validator(config: Config, train_state: TrainState, samples: Sequence[Sample], tell: Listener) -> Validator:
    """The score of a network on the held-out samples, by the path that a submission takes."""
    task = TASKS[config.task]
    accelerator = train_state.accelerator
    return Validator(
        predictor=build_predictor(config, train_state.model, accelerator.device, validating=True),
        samples=samples,
        read=task.read,
        unpack=task.encoding.unpack,
        classes=task.classes,
        loss=train_state.loss,
        tell=tell,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )


def build_predictor(config: Config, network: nn.Module, device: torch.device, *, validating: bool = False) -> Predictor:
    """All that stands around a network at prediction; `validating`: while a run trains."""
    masks = mask_format(TASKS[config.task])
    pipeline = Pipeline(
        [spec.build() for spec in config.transform.evaluate], size_px=config.transform.size_px, masks=masks
    )
    if pipeline.changes_geometry:
        raise UserError(
            "transform.evaluate: a transform here moves pixels, so predictions would not fit the image. Keep only "
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
        threshold=settings.threshold,
        batch_size=config.trainer.evaluate_batch_size,
        cleanups=tuple(spec.build() for spec in config.predict.postprocess),
        read_image=TASKS[config.task].read_image,
        views=views(hflip=tta.hflip, scales=tta.scales, rotations_deg=tta.rotations_deg, gammas=tta.gammas),
        windows=windows_of(settings.windows),
        average=AVERAGES[settings.average],
        step_px=input_step_px(network),
    )


def build_stopping(config: Config) -> EarlyStopping:
    """Early stopping as configured; without it the best epoch is remembered all the same."""
    section = config.early_stopping
    if section is None:
        return EarlyStopping()
    return EarlyStopping(patience=section.patience, min_delta=section.min_delta, mode=section.mode)


def mask_format(task: Task) -> MaskFormat:
    """What transforms have to know of the task's masks."""
    return MaskFormat(task.classes, soft=task.encoding.soft)


def normalisation(transform: Transform) -> Normalisation:
    return Normalisation(transform.mean, transform.std)


@dataclass(frozen=True)
class Trained:
    """A trained network, ready to predict, with what its weights file says of it."""

    task: Task
    config: Config
    weights: Weights
    predictor: Predictor


def load_trained(path: Path, device: torch.device, overrides: Sequence[str] = ()) -> Trained:
    """Rebuild a network from a weights file alone; `overrides` (`key=value`) change what it was trained with.

    Raises `UserError` where file and network do not fit, or an override cannot be.
    """
    weights = load_weights(path)
    config = from_mapping(dict(weights.config), source=str(path), overrides=overrides)
    task = TASKS[config.task]
    if weights.classes != task.classes:
        raise UserError(
            f"{path}: was trained for other classes than task '{config.task}' has now. Name another run, or use the "
            "version of Carpus that trained it."
        )
    model = build_model(without_pretraining(config), len(weights.classes)).to(device)
    try:
        model.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        raise UserError(
            f"{path}: its tensors do not fit the network that its configuration describes. Name the best.safetensors "
            "of another run, or use the version of Carpus that trained it."
        ) from error
    if overrides:
        check_predicted_sizes(config, model)
    return Trained(task, config, weights, build_predictor(config, model.eval(), device))


def without_pretraining(config: Config) -> Config:
    """The same network, to be filled from a file of ours: nothing is fetched for it."""
    params = config.model.params
    if "encoder_weights" not in type(params).model_fields:
        return config
    bare = replace(config.model, params=params.model_copy(update={"encoder_weights": None}))
    return config.model_copy(update={"model": bare})
