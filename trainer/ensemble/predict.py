"""Soft ensembles: the weighted mean of the probabilities that several runs give, cut and written as one run's are.

Images are outside and networks inside. The logits of all networks are held at their own size, and masks are made of
them a few classes at a time (on a CPU only in pixels that may belong to one); logits that take too much are added up as
probabilities at native size instead. Networks that do not fit into memory together take turns, each turn a whole pass
over a bounded chunk of images.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from configs.loading.load import as_dict
from configs.schema import Config
from data.sample import Sample
from data.task import Task
from runtime.checked import name_left_out
from runtime.outputs import refuse_output
from runtime.settings import read_threshold
from runtime.sharing import Exchange, merge
from runtime.writing import write_masks
from trainer.distributed.exchange import exchange_of
from trainer.distributed.failure import fail_together
from trainer.distributed.processes import start_accelerator
from trainer.ensemble.agreement import SmallMasks
from trainer.ensemble.member_weights import read_weights
from trainer.ensemble.memory_plan import MemoryPlan, plan_memory
from trainer.inference import (
    find_checked,
    load_for_prediction,
    origin_of,
    with_threshold,
    with_watch,
    write_predictions,
)
from trainer.prediction.decode import Decoder, add_probabilities
from trainer.prediction.predictor import Loaded, Predictor, batched, decoding_threads
from trainer.prediction.transfer import PendingMask
from trainer.records.weights_files import single_runs, weights_of
from trainer.torch_errors import torch_errors_explained
from trainer.trained import Trained
from utils.arrays import Bytes, Floats, Floats32, Image
from utils.config.messages import shown
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.parallel import lag, map_ahead
from utils.text import pluralize

# Shapes: C classes, H/W the native image, h/w a network's input.
log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

HELD_LOGITS_PX, HELD_LOGITS_PX_ON_GPU = 2048 * 2048, 4 * 2048 * 2048
"""Of each class, over all networks whose logits are held; on a GPU for 29 classes 1 GiB of half precision."""


@dataclass(frozen=True)
class Member:
    """One network of an ensemble; it is read from its file when its turn comes."""

    weights_file: Path
    overrides: tuple[str, ...]
    weight_C: Floats32
    """float32[C], 0..1: how much it counts in each class; those of all members sum to 1."""
    origin: str
    """What its probabilities follow from."""
    bytes: int
    input_px: float
    """Pixels that it answers about: its input's, however large an image is; infinite where it sees images as large as
    they are."""

    def load(self, device: torch.device) -> Trained:
        return load_for_prediction(self.weights_file, device, self.overrides)


@dataclass(frozen=True)
class Ensemble:
    """Members that predict together; `masks` is what a single network's `Predictor.masks` is."""

    members: Sequence[Member]
    plan: MemoryPlan
    device: torch.device
    decoder: Decoder
    read_image: Callable[[Path], Image]
    small_masks: SmallMasks = field(default_factory=SmallMasks)
    """Those of each member, to compare them in the end."""

    def masks(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Bytes]]:
        """Yield each sample and its mask at native size, in order."""
        started = self._from_logits(samples) if self.holds_logits else self._from_means(samples)
        # A GPU begins the next image before a mask is waited for.
        for sample, mask in lag(started, 1 if self.device.type == "cuda" else 0):
            yield sample, mask()

    @property
    def holds_logits(self) -> bool:
        """Whether the logits of all networks are held, and masks made of them without a mean at native size: on a CPU,
        if they take no more memory than the mean of an image of 2048 px would."""
        most_px = HELD_LOGITS_PX if self.device.type == "cpu" else HELD_LOGITS_PX_ON_GPU
        return len(self.plan.groups) == 1 and sum(member.input_px for member in self.members) <= most_px

    def _from_logits(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, PendingMask]]:
        predictors = [member.load(self.device).predictor for member in self.members]
        weights = [member.weight_C for member in self.members]
        for sample, seen in self._looked(lambda sample: (sample, self.look(predictors, sample)), samples):
            logits = [predictor.logits_of(loaded) for predictor, loaded in zip(predictors, seen, strict=True)]
            for index, logits_Chw in enumerate(logits):
                self.small_masks.note(sample.name, index, logits_Chw)
            yield sample, self.decoder.start_of_members(logits, weights, seen[0].native_hw, seen[0].image)

    def _from_means(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, PendingMask]]:
        for sample, mean_CHW in self.means(samples):
            image = self.read_image(sample.image) if self.decoder.refine else None
            yield sample, self.decoder.start_of_mean(mean_CHW, image)

    def means(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Tensor]]:
        """Each sample and its mean probabilities, float32[C, H, W] at native size, in order.

        A tensor holds until the next one is asked for, which may be made in its place.
        """
        if len(self.plan.groups) == 1:
            yield from self._after_turn(self.plan.groups[0], ((sample, None) for sample in samples), in_place=True)
            return
        for chunk in batched(samples, self.plan.chunk):
            so_far: list[tuple[Sample, Tensor | None]] = [(sample, None) for sample in chunk]
            for group in self.plan.groups:
                so_far = [(sample, sum_CHW.cpu()) for sample, sum_CHW in self._after_turn(group, so_far)]
            yield from ((sample, sum_CHW) for sample, sum_CHW in so_far if sum_CHW is not None)

    def _after_turn(
        self, group: Sequence[int], so_far: Iterable[tuple[Sample, Tensor | None]], *, in_place: bool = False
    ) -> Iterator[tuple[Sample, Tensor]]:
        """Each sample's sum with the shares of a group of members added; None is a sum of nothing.

        `in_place`: a sum that has been asked past is the place of the next, so that half a gigabyte is not freed and
        mapped again for each image.
        """
        members = [self.members[index] for index in group]
        predictors = [member.load(self.device).predictor for member in members]
        spare: Tensor | None = None
        for (sample, sum_CHW), seen in self._looked(lambda item: (item, self.look(predictors, item[0])), so_far):
            shape = len(members[0].weight_C), *seen[0].native_hw
            total = zeros(shape, spare, self.device) if sum_CHW is None else sum_CHW.to(self.device)
            for index, member, predictor, loaded in zip(group, members, predictors, seen, strict=True):
                logits_Chw = predictor.logits_of(loaded)
                self.small_masks.note(sample.name, index, logits_Chw)
                add_probabilities(total, logits_Chw, member.weight_C)
            spare = total if in_place else None
            yield sample, total

    def _looked(self, look: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield what is seen of each item, in order; images are decoded beside the networks."""
        threads = decoding_threads(self.device)
        return map_ahead(look, items, workers=threads, ahead=threads + 1)

    def look(self, predictors: Sequence[Predictor], sample: Sample) -> list[Loaded]:
        """What each network sees of an image, which is decoded once."""
        image = self.read_image(sample.image)
        kept = image if self.decoder.refine and self.holds_logits else None
        return [replace(predictor.look(sample, image), image=kept) for predictor in predictors]


def zeros(shape: tuple[int, ...], spare: Tensor | None, device: torch.device) -> Tensor:
    """float32 of 0, in the place of `spare` if that fits."""
    return spare.zero_() if spare is not None and spare.shape == shape else torch.zeros(shape, device=device)


def predict_together(
    runs: Sequence[Path],
    images: Path | None,
    output: Path,
    *,
    weights: Sequence[str] = (),
    threshold: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Write the predictions of an ensemble of runs; return the file written.

    Each run predicts with its own config, and `overrides` for all. `weights` and `threshold` are as on the command
    line; without a threshold it is the runs' own. Raises `UserError` for anything missing, and for runs that do not fit
    together.
    """
    accelerator = start_accelerator()
    exchange = exchange_of(accelerator)
    with fail_together(accelerator):
        if not exchange.rank and not output.is_dir():
            refuse_unwritable([output])
        members, first = find_members(runs, weights, tuple(overrides), own_threshold=threshold is None)
        if not exchange.rank and not first.task.output.is_folder:
            refuse_unwritable([output])
        if threshold is not None:
            first = with_threshold(first, read_threshold(threshold, first.task))
        checked = find_checked(first, images)
        samples = checked.samples
        if not exchange.rank:
            refuse_output(first.task.output, output, samples, images)
        first, watch = with_watch(first)
        with torch_errors_explained(first.config, accelerator.device):
            faults = write_together(members, first, samples, output, accelerator.device, exchange)
        merge(exchange, watch.looks)
    if not exchange.rank:
        watch.name_unusual()
        done = len(samples) - len(faults)
        log.info("%s: %s with %s", output, pluralize(done, "image"), _counted(members))
        name_left_out(output, [*checked.faults, *faults], done)
    return output


def write_together(
    members: Sequence[Member],
    first: Trained,
    samples: list[Sample],
    output: Path,
    device: torch.device,
    exchange: Exchange,
) -> list[UserError]:
    """Write the masks of all samples, decoded as those of `first`. One member is a run by itself.

    Returns what is wrong with images that are left out. With an `exchange` several processes share the samples.
    """
    decoder = first.predictor.decoder
    if len(members) == 1:
        only = with_threshold(members[0].load(device), decoder.threshold)
        reading = replace(only.predictor, read_image=first.predictor.read_image)
        return write_predictions(replace(only, predictor=reading), samples, output, exchange)
    plan = plan_memory([member.bytes for member in members], sum_bytes(first.task, samples[0]), device)
    ensemble = Ensemble(members, plan, device, decoder, first.predictor.read_image)
    with torch.inference_mode():
        origin = origin_together(ensemble, first)
    faults = write_masks(
        first.task,
        ensemble.masks,
        samples,
        output,
        origin=origin,
        at_once=1,
        skip_empty=first.config.predict.skip_empty,
        threads=decoding_threads(device),
        exchange=exchange,
    )
    small_masks = ensemble.small_masks.of_all(exchange, samples)
    if not exchange.rank:
        small_masks.warn([member.weights_file for member in members])
    return faults


def find_members(
    runs: Sequence[Path], weights: Sequence[str], overrides: tuple[str, ...], *, own_threshold: bool
) -> tuple[list[Member], Trained]:
    """The networks of the runs, and the first one of them, on the CPU, for all that they have in common: their own
    threshold too, if it holds.

    A network that is named twice is one with both weights, and one without weight is left out. A cross-validation's
    folder stands for its folds, each with the folder's weight.
    """
    files = [(weights_of(single), index) for index, run in enumerate(runs) for single in single_runs(run)]
    loads = (load_for_prediction(path, torch.device("cpu"), overrides) for path, _ in files)
    first = next(loads)
    weights_RC = read_weights(weights, runs, first.task.classes)
    found: dict[str, tuple[Path, int, float, Floats]] = {}
    for (path, index), trained in zip(files, chain([first], loads), strict=True):
        if trained.config.predict.detector is not None:
            raise UserError(
                f"{path}: predict.model=auto chooses between two networks, which is no ensemble. Write "
                "predict.model=own."
            )
        refuse_misfit((files[0][0], first.config), (path, trained.config), own_threshold=own_threshold)
        origin = origin_of(trained)
        earlier_C = found[origin][-1] if origin in found else 0
        size = sum(tensor.nbytes for tensor in trained.weights.tensors.values())
        found[origin] = path, size, input_px(trained), weights_RC[index] + earlier_C
    total_C = sum(weights_C for *_, weights_C in found.values())
    members = [
        Member(path, overrides, np.asarray(weights_C / total_C, np.float32), origin, size, frame)
        for origin, (path, size, frame, weights_C) in found.items()
        if weights_C.any()
    ]
    return members, first


def refuse_misfit(one: tuple[Path, Config], another: tuple[Path, Config], *, own_threshold: bool) -> None:
    """Raise `UserError` if two runs cannot be combined: other classes, or another way to make masks of the mean."""
    (path, config), (other_path, other) = one, another
    if config.task != other.task:
        raise UserError(
            f"{path} and {other_path}: are runs of different tasks, {config.task} and {other.task}. Join runs of one."
        )
    if config.data.classes != other.data.classes:
        raise UserError(
            f"{path} and {other_path}: are runs with different classes (data.classes). Join runs of the same."
        )
    of_masks = ("postprocess", "refine", "skip_empty")
    for key in ("threshold", *of_masks) if own_threshold else of_masks:
        mine, others = (getattr(each.predict, key) for each in (config, other))
        if mine != others:
            said = " and ".join(shown(each[key]) for each in map(as_dict, (config.predict, other.predict)))
            raise UserError(
                f"{path} and {other_path}: differ in predict.{key}: {said}. Say which holds for all: predict.{key}=…"
            )


def origin_together(ensemble: Ensemble, first: Trained) -> str:
    """What the masks follow from, in one line."""
    parts = [[member.origin, member.weight_C.tolist()] for member in ensemble.members]
    settings = as_dict(first.config.predict)
    said = json.dumps([parts, ensemble.decoder.threshold, settings["postprocess"], settings["refine"]])
    return f"ensemble {hashlib.sha256(said.encode()).hexdigest()} {ensemble.device.type}"


def input_px(trained: Trained) -> float:
    """`Member.input_px` of a network."""
    size_hw = trained.predictor.transform.size_hw
    return math.inf if size_hw is None else size_hw[0] * size_hw[1]


def sum_bytes(task: Task, sample: Sample) -> int:
    """What the sum of one image's probabilities takes."""
    height, width = task.image_size(sample.image)
    return 4 * len(task.classes) * height * width


def _counted(members: Sequence[Member]) -> str:
    return f"{members[0].weights_file}" if len(members) == 1 else f"{len(members)} networks"
