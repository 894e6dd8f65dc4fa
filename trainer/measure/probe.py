"""Measure a few real steps of a run: loading, training and scoring, with the parts that a training uses.

Without a data set, images of noise are used. Pretrained weights are not loaded, because they do not change any time.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from configs.schema import Config
from data.dataset import Reader, SegmentationDataset
from data.sample import Sample
from data.task import Task
from models.hub import is_cached
from models.precision import Precision
from models.weights import is_on_hub
from trainer.build import build_loader, build_train_state, build_validator, count_kept_weights, without_pretraining
from trainer.measure.requirements import DeviceMemory, Files, Loading, Pretrained, Scoring, Steps
from trainer.records.environment import device_name
from trainer.runs.disk_space import bytes_of, state_bytes
from trainer.split import Split, find_split
from trainer.training.stepper import Stepper
from transform.base import size_of
from utils.arrays import Image, StoredMask
from utils.doctor.disk import nearest_folder, trial_error
from utils.doctor.machine import available_mib, look_at_memory, look_at_shm
from utils.errors import UserError
from utils.system.cgroup import look_at_limits
from utils.system.cores import usable_cores

SAMPLES, GROUPS, SCORED = 6, 3, 2
"""Samples to load, optimizer steps to time, batches of images to score; each after one that warms up."""
ENOUGH_S = 20.0
"""Timing ends early, after a whole batch or sample, when it has taken this long."""
MIB = 2**20


@dataclass(frozen=True)
class Material:
    """The samples to measure with, and what reads them. `fault`: why they are not the data set's own."""

    split: Split
    read: Reader
    fault: str = ""


@dataclass(frozen=True)
class Batch:
    """Images uint8[B, h, w] or uint8[B, h, w, 3], and stored masks uint8[B, h, w, K]."""

    images: Tensor
    masks: Tensor
    batches_per_epoch: int
    """Batches of a pass over the images."""


def find_material(config: Config) -> Material:
    """Find the config's own samples; if they cannot be used, make samples of the task's typical number and size."""
    task = config.chosen_task
    try:
        return Material(find_split(config), task.read)
    except UserError as error:
        typical = task.typical
        split = Split(make_samples(typical.train_images), make_samples(typical.valid_images))
        return Material(split, NoiseReader(task), str(error))


def find_pretrained(config: Config) -> Pretrained | None:
    """Find the pretrained weights of the encoder, None if it starts from random ones."""
    chosen = dict(config.model.params)
    encoder, name = chosen.get("encoder"), chosen.get("encoder_weights")
    if name is None:
        return None
    return Pretrained(str(encoder), name, not is_on_hub(name) or is_cached(str(encoder), name))


def make_samples(count: int) -> Sequence[Sample]:
    """Make samples whose files do not exist, for `NoiseReader`."""
    return [Sample(f"image{index}.png", f"ID{index}", Path(f"image{index}.png")) for index in range(count)]


class NoiseReader:
    """Gives noise for every sample, with a stripe of each class, at the task's typical size and with its channels."""

    def __init__(self, task: Task) -> None:
        height, width = task.typical.size_hw
        colours = () if task.channels == 1 else (task.channels,)
        self.image: Image = np.random.default_rng(0).integers(0, 256, (height, width, *colours), np.uint8)
        classes = len(task.classes)
        column_CH1 = np.zeros((classes, height, 1), np.bool_)
        for index in range(classes):
            column_CH1[index, index * height // classes : (index + 1) * height // classes] = True
        self.mask: StoredMask = np.repeat(task.encoding.pack(column_CH1), width, axis=1)

    def __call__(self, sample: Sample) -> tuple[Image, StoredMask]:
        return self.image, self.mask


def time_loading(config: Config, material: Material, accelerator: Accelerator) -> tuple[Loading, Batch]:
    """Measure the loading of samples in this process, one after the other, as a loader process does it."""
    loader = build_loader(config, material.split.train, accelerator, material.read)
    # A loader process uses one thread of OpenCV.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        sample_s, items = time_samples(loader.dataset)
    finally:
        cv2.setNumThreads(threads)
    size = config.trainer.batch_size
    images, masks = (torch.stack(list(islice(cycle(parts), size))) for parts in items)
    shm = look_at_shm()
    loading = Loading(
        sample_s=sample_s,
        batch_size=size,
        batch_mib=(images.nbytes + masks.nbytes) / MIB,
        workers=loader.loader.num_workers,
        wanted_workers=config.data.workers,
        prefetch=config.data.prefetch,
        cores=usable_cores(),
        shm_free_mib=shm.free_mib if shm else None,
        real=not material.fault,
    )
    return loading, Batch(images, masks, loader.sampler.batches_per_pass)


def time_samples(dataset: SegmentationDataset) -> tuple[float, tuple[list[Tensor], list[Tensor]]]:
    """Measure the seconds per sample without the first, which compiles; return them with all images and masks."""
    first = dataset[0, 0]
    images, masks = [first.image], [first.mask]
    started_s = time.monotonic()
    for index in range(1, SAMPLES + 1):
        item = dataset[0, index]
        images.append(item.image)
        masks.append(item.mask)
        if time.monotonic() - started_s > ENOUGH_S:
            break
    return (time.monotonic() - started_s) / (len(images) - 1), (images, masks)


class Probe:
    """Measures a network on one batch. Call `time_steps` first, then `time_scoring` and `memory`."""

    def __init__(self, config: Config, batch: Batch, accelerator: Accelerator) -> None:
        self.config, self.batch = config, batch
        self.device = accelerator.device
        self.on_gpu = self.device.type == "cuda"
        self.available_mib, self.total_mib = self.free_memory()
        train_state = build_train_state(without_pretraining(config), batch.batches_per_epoch, accelerator)
        settings = config.trainer
        self.train_state = train_state
        self.stepper = Stepper(train_state, accumulate=settings.accumulate, clip_norm=settings.clip_norm)

    def time_steps(self, on_first_s: Callable[[float], None] = lambda _: None) -> Steps:
        """Measure optimizer steps. The first is not counted, because it allocates memory and compiles kernels.

        `on_first_s` is called with the seconds of the very first batch.
        """
        self.train_state.begin_training()
        accumulate = self.config.trainer.accumulate
        batches = accumulate * (1 + GROUPS)
        started_s = time.monotonic()
        for number in range(accumulate):
            self.take_step(number, batches)
            if number == 0:
                on_first_s(time.monotonic() - started_s)
        started_s, taken = time.monotonic(), 0
        for number in range(accumulate, batches):
            self.take_step(number, batches)
            taken += 1
            if time.monotonic() - started_s > ENOUGH_S:
                break
        return self.steps_of((time.monotonic() - started_s) / taken)

    def take_step(self, number: int, batches: int) -> None:
        """Take one batch and wait until the device has finished it."""
        self.stepper.step(self.batch.images, self.batch.masks, number, batches)
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def steps_of(self, batch_s: float) -> Steps:
        """Return what was measured: `batch_s` seconds a batch, with the settings that it depends on."""
        precision, settings = self.train_state.precision, self.config.trainer
        return Steps(
            device=device_name(self.device),
            on_gpu=self.on_gpu,
            threads=torch.get_num_threads(),
            precision=precision.name,
            emulated=is_emulated(precision, self.device),
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            size_hw=size_of(self.batch.images[0].numpy()),
            batch_s=batch_s,
        )

    def time_scoring(self, material: Material) -> Scoring:
        """Measure the scoring of a few held-out images: predict, decode at native size, compute loss and score."""
        count = self.config.trainer.evaluate_batch_size * SCORED
        samples = list(material.split.valid[: 2 * count])
        validator = build_validator(self.config, self.train_state, samples, emit=lambda _: None)
        validator = replace(validator, read=material.read)
        half = max(1, len(samples) // 2)
        # The first half is not counted: it compiles.
        replace(validator, samples=samples[:half]).score(self.train_state.kept_model, 0)
        started_s = time.monotonic()
        validator = replace(validator, samples=samples[-half:])
        validator.score(self.train_state.kept_model, 0)
        return Scoring((time.monotonic() - started_s) / half, size_of(material.read(samples[0])[0]))

    def memory(self) -> DeviceMemory:
        """Return the peak so far, and what was free before the network was built."""
        if self.on_gpu:
            return DeviceMemory(torch.cuda.max_memory_reserved(self.device) / MIB, self.available_mib, self.total_mib)
        return DeviceMemory(resident_peak_mib(), self.available_mib, self.total_mib)

    def free_memory(self) -> tuple[float, float]:
        """Return the MiB of the device that this process may have, and all MiB of the device."""
        if self.on_gpu:
            free, total = torch.cuda.mem_get_info(self.device)
            return free / MIB, total / MIB
        memory = look_at_memory()
        return available_mib(memory, look_at_limits()) + resident_peak_mib(), memory.total_mib

    def size_files(self) -> Files:
        """Compute the sizes of the files that the run will write."""
        folder, train_state = self.config.run.folder, self.train_state
        place = nearest_folder(folder)
        return Files(
            folder=str(folder / self.config.run.name),
            state_mib=state_bytes(train_state) / MIB,
            weights_mib=bytes_of(train_state.kept_model) / MIB,
            keep=self.config.checkpoint.keep,
            kept_weights=count_kept_weights(self.config, self.batch.batches_per_epoch),
            free_mib=shutil.disk_usage(place).free / MIB,
            error=trial_error(place),
        )


def is_emulated(precision: Precision, device: torch.device) -> bool:
    """Whether the device has no hardware for this format: bf16 on GPUs before 8.0, 16-bit formats on CPUs."""
    if device.type != "cuda":
        return precision.name != "fp32"
    return precision.name == "bf16" and torch.cuda.get_device_capability(device)[0] < 8


def resident_peak_mib() -> float:
    """Return the largest resident memory of this process so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
