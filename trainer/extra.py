"""Further labelled images to train on, such as pseudo labels: `data.extra_roots`. They are never held out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from configs.schema import Config
from data.sample import Sample
from data.task import TASKS

log = logging.getLogger(__name__)


def extra_samples(
    config: Config, train: Sequence[Sample], valid: Sequence[Sample], *, told: bool = True
) -> list[Sample]:
    """The labelled images of all `data.extra_roots` that may be trained on beside `train`.

    Left out, with a line in the log where `told`, is what would teach the held-out images: other labels of their
    patients. So is an image of a name that has a label already.
    """
    task, held_out = TASKS[config.task], {sample.patient for sample in valid}
    names = {sample.name for sample in [*train, *valid]}
    found: list[Sample] = []
    for extra in config.data.extra_roots:
        samples = task.find_samples(extra.root / "train", labelled=True)
        strange = [sample for sample in samples if sample.patient not in held_out]
        new = [sample for sample in strange if sample.name not in names]
        log.log(
            logging.INFO if told else logging.DEBUG,
            "data.extra_roots: %s: %d images to train on; left out: %d of held-out patients, %d labelled already",
            *(extra.root, len(new), len(samples) - len(strange), len(strange) - len(new)),
        )
        names |= {sample.name for sample in new}
        found += new
    return found


def root_weights(config: Config, samples: Sequence[Sample]) -> list[float]:
    """How often each sample is drawn against one of `data.root`, by the root that it lies in."""
    weight_of = {extra.root / "train": extra.weight for extra in config.data.extra_roots}
    return [
        next((weight for root, weight in weight_of.items() if root in sample.image.parents), 1.0) for sample in samples
    ]
