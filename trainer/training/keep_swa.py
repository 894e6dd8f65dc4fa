"""Makes a network of the average of a run's last epochs (SWA): batch-norm statistics, a score, a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from trainer.evaluation.score_table import ScoreTable
from trainer.training.batch_norm import recompute_batch_norm
from trainer.training.engine import Engine
from utils.progress import track

log = logging.getLogger(__name__)


def keep_swa(engine: Engine, save: Callable[[nn.Module, int, ScoreTable], None]) -> None:
    """Recompute the average's batch-norm statistics on one epoch of training batches, score it, and `save` it.

    All of it follows from the state after the last epoch: a run that is stopped here repeats it when it is resumed.
    """
    train_state = engine.stepper.train_state
    swa = train_state.swa
    if swa is None or not swa.count:
        log.info("trainer.swa_from_epoch: the run ended before that epoch, so there is no average")
        return
    network = swa.network(train_state.model)
    recompute_batch_norm(network, images_of(engine), train_state.normalise, train_state.precision)
    score = engine.score(network, engine.epoch - 1)
    save(network, engine.epoch - 1, score.table)
    epochs = "1 epoch" if swa.count == 1 else f"{swa.count} epochs"
    label = score.table.metric.label
    log.info("SWA: the average of %s has %s %.4f; it is in swa.safetensors", epochs, label, score.table.mean)


def images_of(engine: Engine) -> Iterator[Tensor]:
    """Yield the images of the epoch after the last one, batch by batch."""
    batches = engine.loader.batches(engine.epoch)
    if engine.stepper.train_state.accelerator.is_main_process:
        batches = track(batches, "Batch norm", len(engine.loader))
    return (images for images, _ in batches)
