"""Makes a network of the average of a run's last epochs (SWA): batch-norm statistics, a score, a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from trainer.evaluation.score_table import ScoreTable
from trainer.training.batch_norm import recompute_batch_norm
from trainer.training.engine import Engine
from utils.progress import track
from utils.rounds import amount, counted_in

log = logging.getLogger(__name__)


def keep_swa(engine: Engine, save: Callable[[nn.Module, int, ScoreTable], None]) -> None:
    """Recompute the average's batch-norm statistics on training batches, of one epoch at most, score and `save` it.

    All of it follows from the state after the last epoch: a run that is stopped here repeats it when it is resumed.
    """
    train_state = engine.stepper.train_state
    swa = train_state.swa
    if swa is None or not swa.count:
        unit = counted_in(engine.plan.rounds)
        log.info("trainer.swa_from_%s: the run ended before that %s, so there is no average", unit, unit)
        return
    network = swa.network(train_state.model)
    kept = {network.get_submodule(name) for name in train_state.names_of_norms_kept}
    recompute_batch_norm(network, images_of(engine), train_state.normalise, train_state.precision, kept)
    score = engine.score(network, engine.epoch - 1)
    save(network, engine.epoch - 1, score.table)
    averaged = amount(swa.count, "epoch") if engine.plan.rounds is None else f"{swa.count} evaluated weights"
    label = score.table.metric.label
    log.info("SWA: the average of %s has %s %.4f; it is in swa.safetensors", averaged, label, score.table.mean)


def images_of(engine: Engine) -> Iterator[Tensor]:
    """Yield the images of the epoch after the last one, batch by batch; of one pass over them at most."""
    images, count = engine.loader.pass_of(engine.epoch)
    if engine.stepper.train_state.accelerator.is_main_process:
        return track(images, "Batch norm", count)
    return images
