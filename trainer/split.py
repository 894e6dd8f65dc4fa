"""Which samples a run learns from, which it holds out, and how often each is drawn."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from configs.schema import Config
from data.check.refuse import refuse_broken
from data.folds.files import split_by_file
from data.folds.split import split_by_group
from data.known_images import KnownImages
from data.sample import Sample
from data.task import Task
from utils.errors import UserError
from utils.parallel import map_ahead

log = logging.getLogger(__name__)

DEMO = "run `make demo` to see Carpus work on generated images"

FAST_BATCHES = 2
"""Batches to train on, and images to score, in a fast development run."""


@dataclass(frozen=True)
class Split:
    """The samples of one run."""

    train: Sequence[Sample]
    valid: Sequence[Sample]

    @property
    def keys(self) -> list[str]:
        """The keys of all samples, those to train on first."""
        return [sample.key for sample in [*self.train, *self.valid]]


def find_split(config: Config, *, check: bool = True) -> Split:
    """Find the training and the held-out samples of a config, and check every image and label.

    `check=False` only lists them, for data that a run has checked before. Raises `UserError` for a folder that is
    missing and for samples that cannot be used.
    """
    task = config.chosen_task
    folder = labelled_folder(config, task)
    samples = task.layout.find_samples(folder, labelled=True, exclude=config.data.exclude)
    own, valid = _divide(config, task, samples, folder)
    extra = find_extra_samples(config, task, own, valid, logged=check)
    if check:
        refuse_broken([*samples, *extra], task.check)
    return _shorten(config, Split([*own, *extra], valid))


def labelled_folder(config: Config, task: Task) -> Path:
    """Return the folder of labelled images. Raises `UserError` if it is not there."""
    folder = task.layout.labelled_in(Path(config.data.root))
    if not folder.is_dir():
        made_by = config.data.made_by
        way_out = f"run `{made_by}`, which makes the data of this recipe" if made_by else DEMO
        raise UserError(
            f"data.root={config.data.root}: there is no folder {folder.absolute()}. Put the data there "
            f"({task.layout.described}), name another folder with data.root=…, or {way_out}."
        )
    return folder


def _divide(config: Config, task: Task, samples: Sequence[Sample], folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Divide into (training, held-out) samples, by the files of `data.fold_files` or by groups into `data.folds`."""
    data = config.data
    if data.fold_files is None:
        return split_by_group(samples, data.folds, config.held_out, task.layout.group)
    excluded: set[str] = set()
    if data.exclude:
        kept = {sample.name for sample in samples}
        excluded = {sample.name for sample in task.layout.find_samples(folder, labelled=False)} - kept
    return split_by_file(samples, data.fold_files, config.held_out, excluded, noun=task.layout.group)


def find_extra_samples(
    config: Config, task: Task, train: Sequence[Sample], valid: Sequence[Sample], *, logged: bool = True
) -> list[Sample]:
    """Find the labelled images of all enabled `data.extra_roots` that may be trained on beside `train`.

    Left out, with a line in the log if `logged`, are images that would teach the held-out ones (those of their groups)
    and images that have a label already. Extra images are never held out.
    """
    told = logging.INFO if logged else logging.DEBUG
    known = KnownImages(task, train, valid)
    found: list[Sample] = []
    for number, extra in enumerate(config.data.extra_roots, 1):
        if not extra.enabled:
            log.log(told, "data.extra_roots: %s: not trained on: %s", extra.root, extra.reason)
            continue
        layout = task.layout.grouped_by(extra.group_pattern)
        samples = layout.find_samples(layout.labelled_in(extra.root), labelled=True)
        allowed = [sample for sample in samples if not known.is_held_out(sample)]
        new = [replace(sample, source=number) for sample in allowed if not known.is_labelled(sample)]
        log.log(
            told,
            f"data.extra_roots: %s: %d images to train on; left out: %d of held-out {task.layout.group}s, %d labelled "
            "already",
            *(extra.root, len(new), len(samples) - len(allowed), len(allowed) - len(new)),
        )
        known.add(new)
        found += new
    return found


def _shorten(config: Config, split: Split) -> Split:
    """Keep the first batches alone, if the config asks for them."""
    batch = config.trainer.batch_size
    if config.trainer.overfit_batches:
        few = split.train[: config.trainer.overfit_batches * batch]
        return Split(few, few)
    if config.trainer.fast_dev_run:
        return Split(split.train[: FAST_BATCHES * batch], split.valid[:FAST_BATCHES])
    return split


def sampling_weights(config: Config, samples: Sequence[Sample]) -> list[float] | None:
    """How often each sample is drawn against the others: the product of its weights. None if all are alike."""
    task = config.chosen_task
    weights = np.prod([_stratum_weights(config, task, samples), _source_weights(config, samples)], axis=0).tolist()
    return weights if len(set(weights)) > 1 else None


def _stratum_weights(config: Config, task: Task, samples: Sequence[Sample]) -> list[float]:
    """The weight of each sample's stratum. Reads every label if the weights differ."""
    weight, strata = config.data.bent_weight, task.strata
    if weight == 1:
        return [1.0] * len(samples)
    if strata is None:
        raise UserError(
            f"data.bent_weight: task '{task.name}' has no kinds of images to distinguish. Leave the key out."
        )
    stratum_of = find_strata(task, samples)
    count = sum(stratum_of[sample.name] == strata.weighted for sample in samples)
    log.info("data.bent_weight: %d of %d training %s are %s", count, len(samples), strata.noun, strata.weighted)
    if not count:
        log.warning("data.bent_weight: has no effect, none of the training %s is %s", strata.noun, strata.weighted)
    return [weight if stratum_of[sample.name] == strata.weighted else 1.0 for sample in samples]


def find_strata(task: Task, samples: Sequence[Sample]) -> dict[str, str | None]:
    """Find the stratum of each labelled sample by name, from its label alone; None if it is not known."""
    return dict(map_ahead(lambda sample: (sample.name, task.stratum_of_label(sample)), samples))


def _source_weights(config: Config, samples: Sequence[Sample]) -> list[float]:
    """Return how often each sample is drawn compared with one of `data.root`."""
    weights = [1.0, *(extra.weight for extra in config.data.extra_roots)]
    return [weights[sample.source] for sample in samples]
