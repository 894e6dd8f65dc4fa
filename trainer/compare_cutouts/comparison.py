"""Cut the same images out with several networks, and count what each image shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from data.check.refuse import refuse_broken
from data.refine import object_colours
from data.sample import Sample
from data.task import Task
from models.maskrcnn import Detector
from runtime.settings import gives_own_colours
from trainer.checkpoints.scoring import Scored, numbers_of_mask
from trainer.drawing.cutouts import draw_prediction
from trainer.prediction.choice import detect
from trainer.prediction.predictor import Prediction
from trainer.records.checkpoint import digest_of
from trainer.records.weights_files import weights_of
from trainer.trained import Trained, load_trained, read_description
from transform.base import size_of
from utils.arrays import HALF_ALPHA, Bytes, StoredMask
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.pictures import encode_jpeg
from utils.progress import Meter

SIDE_PX = 360
"""The larger side of a picture."""
COPY_PX = 64
"""Side of the copy of an alpha by which networks are compared with each other."""
LEAST_PART = 0.1
"""Parts of a true mask count as objects from this share of the largest part on."""


@dataclass(frozen=True)
class Cutout:
    """What one network cuts out of one image. `picture`: a JPEG on a checkerboard; `copy`: the alpha, made small."""

    picture: bytes
    copy: Bytes
    is_empty: bool
    numbers: Mapping[str, float] | None
    """The numbers of the task, None without a true mask."""


@dataclass(frozen=True)
class Comparison:
    """What several networks cut out of the same images: `cutouts` by the name of the network, then of the image."""

    task: Task
    samples: Sequence[Sample]
    cutouts: Mapping[str, Mapping[str, Cutout]]
    digests: Mapping[str, str]
    counts: Mapping[str, int] | None
    """The objects that each image shows, None if nobody has counted them."""
    counted: str
    """Who has counted them, in a sentence; empty if nobody has."""
    scored: bool
    """Whether there are true masks."""

    def rows(self, samples: Sequence[Sample]) -> list[Scored]:
        """Return the scores of each network on some of the images."""
        found = []
        for model, of_image in self.cutouts.items():
            scores = {sample.name: of_image[sample.name].numbers or {} for sample in samples}
            found.append(Scored(model, None, 0, self.digests[model], scores))
        return found

    def disagreement(self, sample: Sample) -> float:
        """Return how far the alphas of the networks lie apart, 0..255 on average over the image."""
        copies = [of_image[sample.name].copy for of_image in self.cutouts.values()]
        return float(np.ptp(np.stack(copies), axis=0).mean())


def compare_networks(models: Sequence[Path], images: Path, masks: Path | None, device: torch.device) -> Comparison:
    """Cut all images out with all networks, one network after the other.

    Raises `UserError` if images or masks are missing, or if a network is of another task, or of hard masks.
    """
    named = names_of(models)
    task = common_task(named, device)
    samples = find_checked(task, images, masks)
    cutouts, digests, counts, counted = {}, {}, None, ""
    meter = Meter("Comparing", len(named) * len(samples))
    try:
        for name, path in named.items():
            trained = load_trained(path, device)
            digests[name] = digest_of(trained.weights.tensors, {})
            cutouts[name], found = cut_all(trained, samples, meter.advance)
            if found and counts is None:
                counts, counted = found, f"Objects are counted by {name}, which finds {finds_of(trained)}."
    finally:
        meter.close()
    if counts is None and masks is not None:
        counts = {sample.name: parts_of(task, sample) for sample in samples}
        counted = "Objects are separate parts of the true mask, so objects that touch each other count as one."
    return Comparison(task, samples, cutouts, digests, counts, counted, masks is not None)


def names_of(models: Sequence[Path]) -> dict[str, Path]:
    """Return the weights file of each network by a short name. Raises `UserError` for fewer than two."""
    paths = [weights_of(model) for model in models]
    if len(set(paths)) < 2 or len(set(paths)) < len(paths):
        raise UserError("--models: name two or more different runs or weights files.")
    short = [model.stem if model.is_file() else model.resolve().name for model in models]
    shown = [name if short.count(name) == 1 else str(model) for name, model in zip(short, models, strict=True)]
    return dict(zip(shown, paths, strict=True))


def common_task(named: Mapping[str, Path], device: torch.device) -> Task:
    """Return the task of all networks. Raises `UserError` if they differ, or its masks are hard."""
    tasks = {name: read_description(path, device).task for name, path in named.items()}
    (first, task), *others = tasks.items()
    for other, its in others:
        if its.name != task.name:
            raise UserError(
                f"--models: {first} is of task '{task.name}', {other} of '{its.name}'. Name networks of one task."
            )
    if not task.encoding.soft:
        raise UserError(
            f"--models: the masks of task '{task.name}' are hard, so they are no cut-outs. Compare predictions with "
            "python -m trainer.compare."
        )
    return task


def find_checked(task: Task, images: Path, masks: Path | None) -> list[Sample]:
    """Find the images, with their masks if there are some, and check every one."""
    if masks is None:
        samples = task.layout.find_images(images)
    else:
        assert task.layout.find_pairs is not None, "tasks of soft masks have masks in folders"
        samples = task.layout.find_pairs(images, masks)
    refuse_broken(samples, task.check, leave_out="move them out of the folder.")
    return samples


def cut_all(
    trained: Trained, samples: Sequence[Sample], advance: Callable[[], None]
) -> tuple[dict[str, Cutout], dict[str, int]]:
    """Cut all images out; return the results and, of a detector, how many objects it finds in each image."""
    found, counts = {}, {}
    for sample, cutout, count in map_ahead(partial(look_at, trained), predicted(trained, samples), ahead=3):
        found[sample.name] = cutout
        if count is not None:
            counts[sample.name] = count
        advance()
    return found, counts


def predicted(trained: Trained, samples: Sequence[Sample]) -> Iterator[tuple[Sample, StoredMask, int | None]]:
    """Yield each image with its mask and, of a detector, the number of objects that it finds."""
    predictor = trained.predictor
    if not isinstance(predictor.network, Detector):
        yield from ((sample, mask, None) for sample, mask in predictor.accelerated().masks(samples))
        return
    for loaded in map_ahead(predictor.load, samples, ahead=2):
        objects = detect(predictor, loaded)
        prediction = Prediction(loaded, objects.logits(size_of(loaded.views[0])))
        yield loaded.sample, predictor.decode(prediction), objects.count


def look_at(trained: Trained, one: tuple[Sample, StoredMask, int | None]) -> tuple[Sample, Cutout, int | None]:
    """Draw a mask in the colours in which it would be written and, if there is a true one, score it."""
    task, (sample, mask, count) = trained.task, one
    image = task.read_image(sample.image)
    if gives_own_colours(trained.config.predict, task):
        image = object_colours(image, mask.max(axis=2))
    picture = encode_jpeg(draw_prediction(task, image, mask, SIDE_PX))
    copy = np.asarray(cv2.resize(mask.max(axis=2), (COPY_PX, COPY_PX), interpolation=cv2.INTER_AREA), np.uint8)
    numbers = None
    if sample.label is not None:
        numbers = numbers_of_mask(task, mask, task.read_mask(sample, size_of(mask)))
    return sample, Cutout(picture, copy, not mask.any(), numbers), count


def finds_of(trained: Trained) -> str:
    """Return what a detector finds, in the plural."""
    network = trained.predictor.network
    assert isinstance(network, Detector)
    return network.finds


def parts_of(task: Task, sample: Sample) -> int:
    """Count the separate parts of a true mask; crumbs do not count."""
    mask = task.read_mask(sample, task.image_size(sample.image)).max(axis=2) >= HALF_ALPHA
    _, _, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = about[1:, cv2.CC_STAT_AREA]
    return int((areas >= LEAST_PART * areas.max(initial=1)).sum())
