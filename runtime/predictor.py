"""From an image to a mask at its native size with a network in an ONNX file; no torch is loaded.

The steps are those of `trainer.prediction.predictor`, so a network predicts as the run that it was exported from.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from configs.loading.schemas import as_dict, mapping_as
from data.check.looks import oddity_from
from data.image import is_large
from data.masks.binarize import Threshold
from data.polygons.classes import classes_of
from data.sample import Sample
from data.task import Task
from data.tasks import TASKS, task_named
from runtime.decode import Decoder, resized
from runtime.model.metadata import Metadata
from runtime.model.network import CPU, Network, OnnxFile, Providers, read_file
from runtime.model.published import SIGNATURES, metadata_of, published_in
from runtime.settings import (
    ONNX_CHANGEABLE,
    Settings,
    refinements,
    refuse_keys_of_hard_masks,
    refuse_unchangeable,
    with_pictures,
)
from transform.base import MaskFormat, size_of
from transform.normalise import Normalisation
from transform.pipeline import Pipeline
from utils.arrays import Floats32, Image, Size, StoredMask
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.system.cores import usable_cores

log = logging.getLogger(__name__)

WORKERS = 4
"""Images that are predicted at the same time, at most; each takes memory."""


@dataclass(frozen=True)
class OnnxPredictor:
    """A network with all that surrounds it between an image file and a mask."""

    network: Network
    task: Task
    metadata: Metadata
    settings: Settings
    pipeline: Pipeline
    normalise: Normalisation
    decoder: Decoder
    read_image: Callable[[Path], Image]
    workers: int
    digest: str
    """Of the file."""

    def logits(self, image: Image) -> Floats32:
        """Return the logits float32[C, h, w] of an image uint8[H, W] or uint8[H, W, 3], as the task reads it."""
        output, classes = self.metadata.output, len(self.task.classes)
        logits_Chw = self.network.logits(self.prepare(image), output, classes, frees=is_large(image.shape))
        return self.own_part(logits_Chw, size_of(image))

    def prepare(self, image: Image) -> Floats32:
        """Return an image as it is given to the network, float32[C, h, w]."""
        small, _ = self.pipeline(image, None, seed=0)
        return self.normalise.of_array(small)

    def logits_of_batch(self, prepared_NCHW: Floats32) -> Floats32:
        """Return the logits float32[N, C, h, w] of images that are prepared already; of each, take its `own_part`."""
        return self.network.logits_of_batch(prepared_NCHW, self.metadata.output, len(self.task.classes))

    def own_part(self, logits_Chw: Floats32, size_hw: Size) -> Floats32:
        """Return the logits of an image of a native size without those of what was added around it."""
        place = self.pipeline.place_of(size_hw)
        if place is None:
            return logits_Chw
        return np.ascontiguousarray(place.cut(resized(logits_Chw, place.frame_hw)))

    def mask(self, image: Image) -> StoredMask:
        """Return the mask uint8[H, W, K] at native size, in the task's encoding."""
        return self.mask_of(self.logits(image), image)

    def mask_of(self, logits_Chw: Floats32, image: Image) -> StoredMask:
        """Return the mask of an image whose logits are known."""
        return self.decoder.decode(self.task, logits_Chw, image)

    def oddity(self, image: Image) -> str | None:
        """Return how an image differs from those that the network was trained on, in a few words; None if it does not.

        It is known only for a task whose images look alike, and for a network that says how they looked.
        """
        return oddity_from(image, self.metadata.images) if self.task.checks.one_look else None

    def masks(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        """Yield each sample and its mask, in order, several at a time."""

        def predict(sample: Sample) -> tuple[Sample, StoredMask]:
            return sample, self.mask(self.read_image(sample.image))

        return map_ahead(predict, samples, workers=self.workers, ahead=self.workers + 1)

    @property
    def origin(self) -> str:
        """What a mask follows from, besides its image: file, settings, and the library that computes."""
        settings = json.dumps([as_dict(self.settings), self.decoder.threshold], sort_keys=True)
        return f"{self.digest} {settings} onnxruntime-{onnxruntime.__version__}"


def open_predictor(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    workers: int | None = None,
    threads: int | None = None,
    providers: Providers = (CPU,),
) -> OnnxPredictor:
    """Load a network from an ONNX file of ours, or a published one of others.

    `workers` images are predicted at the same time, None: as many as there are cores, at most `WORKERS`. The cores are
    shared among them, so one image alone is quickest with 1; `threads` says otherwise how many compute one image.
    `providers`: what may compute the network. Raises `UserError` for a file that is neither, or settings
    that cannot be.
    """
    refuse_unchangeable(overrides, ONNX_CHANGEABLE)
    file = read_file(path)
    cores = usable_cores()
    workers = min(WORKERS, cores) if workers is None else workers
    network = Network(file, threads or max(1, cores // workers), providers)
    metadata = network.metadata or _published(file)
    settings = _settings(path, metadata, overrides)
    return _assembled(path, network, metadata, settings, file.digest, workers)


def _assembled(
    path: Path, network: Network, metadata: Metadata, settings: Settings, digest: str, workers: int
) -> OnnxPredictor:
    transform, predict = settings.transform, settings.predict
    task = with_pictures(_task_of(path, metadata), predict)
    refuse_keys_of_hard_masks(predict, task)
    masks = MaskFormat(task.classes, soft=task.encoding.soft)
    steps = [spec.build() for spec in transform.evaluate]
    pipeline = Pipeline(steps, size_px=transform.size_px, pad=transform.pad, masks=masks)
    assert pipeline.size_hw is not None
    network.check(task.channels, pipeline.size_hw)
    postprocess = tuple(spec.build() for spec in predict.postprocess)
    own = _thresholds(metadata)
    return OnnxPredictor(
        network=network,
        task=task,
        metadata=metadata,
        settings=settings,
        pipeline=pipeline,
        normalise=Normalisation(transform.mean, transform.std, transform.divide_by_maximum),
        decoder=Decoder(predict.threshold if own is None else own, postprocess, refinements(predict, task)),
        read_image=task.read_image,
        workers=workers,
        digest=digest,
    )


def _published(file: OnnxFile) -> Metadata:
    """Return the description of a published network. Raises `UserError` if the file holds none that is known."""
    name = published_in(file.layout)
    if name is None:
        raise UserError(
            f"{file.path}: does not say what it predicts, and is no {' or '.join(SIGNATURES.values())} for photographs "
            "with one class. Name an ONNX file that was exported from a run, or such a network."
        )
    log.info("%s: %s, given images as its authors do", file.path, name)
    return metadata_of(name, TASKS["foreground"].classes, file.layout)


def _task_of(path: Path, metadata: Metadata) -> Task:
    """Return the task of a description. Raises `UserError` if there is none of this name and these classes."""
    try:
        task = task_named(metadata.task, classes_of(metadata.own_classes, f"{path}: own_classes"))
    except UserError:
        task = None
    if task is None or task.classes != metadata.classes:
        raise UserError(
            f"{path}: was trained for task '{metadata.task}' with other classes than it has now. Name another file, or "
            "use the version of Carpus that exported it."
        )
    return task


def _settings(path: Path, metadata: Metadata, overrides: Sequence[str]) -> Settings:
    """Return the settings of a description. Raises `UserError` if it is of another task, or they need torch."""
    _task_of(path, metadata)
    values = {"transform": metadata.transform, "predict": metadata.predict}
    settings = mapping_as(Settings, values, str(path), overrides)
    predict = settings.predict
    if predict.detector is not None:
        raise UserError(f"{path}: predict.model=auto needs torch. Name the run or its weights file, or write own.")
    if predict.zoom:
        raise UserError(f"{path}: predict.zoom needs torch. Name the run or its weights file, or write false.")
    tta = predict.tta
    if predict.windows.size_px is not None or tta.hflip or tta.scales or tta.rotations_deg or tta.gammas:
        raise UserError(
            f"{path}: predict.windows and predict.tta need torch. Name the run or its weights file, or switch off what "
            "is on, such as predict.tta.hflip=false."
        )
    return settings


def _thresholds(metadata: Metadata) -> Threshold | None:
    """Return the threshold of each class in the order of the classes, if the file has them."""
    return None if metadata.thresholds is None else tuple(metadata.thresholds[name] for name in metadata.classes)
