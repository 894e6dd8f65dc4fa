"""Make one network from several: the average of their weights (model soup, arXiv:2203.05482).

The files must hold one architecture, trained from the same start (epochs of one run, or runs from the same pretrained
weights), else their average means nothing. Batch-norm statistics are recomputed on the first file's training images,
and its held-out images give the score.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from trainer.build import build_loader
from trainer.evaluation.validator import Score, Validator
from trainer.provenance import checked, joined
from trainer.records.checkpoint import Weights, load_weights, provenance_in, save_weights
from trainer.records.weights_files import weights_of
from trainer.split import Split, find_split
from trainer.torch_errors import torch_errors_explained
from trainer.trained import Trained, load_trained
from trainer.training.batch_norm import recompute_batch_norm
from trainer.training.freezing import freeze, norms_kept_of
from trainer.training.loader import TrainLoader
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.metric import Metric
from utils.progress import track

log = logging.getLogger(__name__)

DIVIDING = ("folds", "fold_files", "exclude")
"""Keys of `data` that, with `fold`, decide which images are held out."""


def make_soup(files: Sequence[Path], output: Path, *, greedy: bool) -> float:
    """Average `files` into `output`; return its score on held-out images. A run's folder stands for its best weights.

    Raises `UserError` for files that do not fit together.
    """
    files = [weights_of(path) for path in files]
    refuse_unwritable([output], files)
    refuse_unlike(files)
    accelerator = Accelerator(mixed_precision="no")
    scorer = open_scorer(files[0], accelerator)
    with torch_errors_explained(scorer.trained.config, accelerator.device, scorer.loader):
        soup, score = average_greedily(scorer, files) if greedy else average_all(scorer, files)
    first = scorer.trained.weights
    provenance = joined(checked(provenance_in(path)) for path in files)
    save_weights(output, replace(first, tensors=soup, score=score, metric=scorer.metric.name, provenance=provenance))
    log.info("%s: %s %.4f on held-out images", output, scorer.metric.label, score)
    return score


def refuse_unlike(files: Sequence[Path]) -> None:
    """Raise `UserError` unless there are several files of one architecture and one set of classes."""
    if len(files) < 2:
        raise UserError("--weights: one file is no average. Name two or more.")
    first = load_weights(files[0])
    for path in files[1:]:
        other = load_weights(path)
        if other.classes != first.classes:
            raise UserError(f"{path}: was trained for other classes than {files[0]}. Average weights of one task.")
        difference = difference_of(first.tensors, other.tensors)
        if difference:
            raise UserError(
                f"{path}: holds another network than {files[0]} ({difference}). Average weights of one architecture."
            )
        if division_of(other) != division_of(first):
            log.warning(
                "%s: was trained on other images than %s, maybe on those that the score is taken on: the score of the "
                "soup flatters it",
                path,
                files[0],
            )


def division_of(weights: Weights) -> list[Any]:
    """What decides which images these weights have not seen."""
    data = weights.config.get("data", {})
    return [weights.config.get("fold"), *(data.get(key) for key in DIVIDING)]


def difference_of(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> str:
    """Describe the first tensor in which two networks differ; empty if they have the same shapes."""
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            return f"only one of them has {name}"
        if a[name].shape != b[name].shape:
            return f"{name} is {tuple(b[name].shape)}, not {tuple(a[name].shape)}"
    return ""


@dataclass(frozen=True)
class Scorer:
    """Turns an average of weights into a network with a score."""

    trained: Trained
    loader: TrainLoader
    validator: Validator

    @property
    def metric(self) -> Metric:
        """The metric of the scores."""
        return self.trained.task.metric

    def score(self, tensors: Mapping[str, Tensor]) -> float:
        """Score these weights as they are on held-out images."""
        network = self.trained.predictor.network
        network.load_state_dict(dict(tensors))
        score: Score = self.validator.score(network, 0)
        return score.table.mean

    def finish(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """Recompute the batch-norm statistics for these weights; return the complete weights and their score."""
        predictor, settings = self.trained.predictor, self.trained.config.trainer
        predictor.network.load_state_dict(dict(tensors))
        images, count = self.loader.pass_of(0)
        freeze(predictor.network, settings.freeze)
        kept = norms_kept_of(predictor.network, every=settings.freeze_norms)
        images = track(images, "Batch norm", count)
        recompute_batch_norm(predictor.network, images, predictor.normalise, predictor.precision, kept)
        own = {name: tensor.detach().cpu().clone() for name, tensor in predictor.network.state_dict().items()}
        return own, self.score(own)


def open_scorer(first: Path, accelerator: Accelerator) -> Scorer:
    """Load the first file's network, training batches and held-out images."""
    trained = load_trained(first, accelerator.device)
    config, task = trained.config, trained.task
    log.info("reading images from %s, which %s names", Path(config.data.root).absolute(), first)
    split: Split = find_split(config)
    unpack = task.encoding.unpack
    validator = Validator(
        trained.predictor,
        split.valid,
        task.read,
        unpack,
        task.metrics[0],
        task.classes,
        config.loss.build(),
        lambda _: None,
    )
    return Scorer(trained, build_loader(config, split.train, accelerator), validator)


def average_all(scorer: Scorer, files: Sequence[Path]) -> tuple[dict[str, Tensor], float]:
    """Average all files with equal weights."""
    average: dict[str, Tensor] = {}
    for count, path in enumerate(files, start=1):
        weights = load_weights(path)
        if weights.score is not None:
            log.info("%s: %s %.4f when it was trained", path, scorer.metric.label, weights.score)
        average = add_to_average(average, weights.tensors, count)
    return scorer.finish(average)


def average_greedily(scorer: Scorer, files: Sequence[Path]) -> tuple[dict[str, Tensor], float]:
    """Average the best file and each next one with which the score does not become worse."""
    scores = {path: scorer.score(load_weights(path).tensors) for path in track(files, "Scoring", len(files))}
    first, *others = sorted(files, key=lambda path: scorer.metric.badness(scores[path]))
    label = scorer.metric.label
    log.info("%s: %s %.4f, taken", first, label, scores[first])
    soup = average = dict(load_weights(first).tensors)
    score, count = scores[first], 1
    for path in others:
        wider = add_to_average(average, load_weights(path).tensors, count + 1)
        candidate, its_score = scorer.finish(wider)
        taken = scorer.metric.badness(its_score) <= scorer.metric.badness(score)
        log.info(
            "%s: %s %.4f alone, %.4f with it, %s",
            *(path, label, scores[path], its_score, "taken" if taken else "left out"),
        )
        if taken:
            soup, average, score, count = candidate, wider, its_score, count + 1
    return soup, score


@torch.no_grad()
def add_to_average(average: Mapping[str, Tensor], tensors: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return the mean of `count` networks from the mean of the others; whole numbers are those of the last one."""
    return {
        name: torch.lerp(average[name], tensor, 1 / count) if name in average and tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
