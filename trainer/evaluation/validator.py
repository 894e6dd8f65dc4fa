"""The score of a network on held-out images: masks at native size against the truth, as predictions are scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn

from data.dataset import Reader
from data.encoding import Unpack
from data.sample import Sample
from data.task import TaskMetric
from loss import Loss
from trainer.distributed.processes import share_buffers
from trainer.evaluation.score_table import ScoreTable
from trainer.prediction.predictor import Loaded, Predictor
from trainer.prediction.transfer import to_device
from utils.arrays import Bytes
from utils.errors import UserError
from utils.events import ImageScored, Listener
from utils.files import write_text
from utils.parallel import lag, map_ahead

Row: TypeAlias = tuple[str, npt.NDArray[np.float64], float]
"""An image's name, its score per class float64[C], its loss."""
RowOnDevice: TypeAlias = tuple[str, npt.NDArray[np.float64], Tensor]
"""The same, with the loss on the device until all images are scored, so that no image waits for it."""


class Stopped(Exception):
    """A scoring was stopped because a process was asked to stop; raised in all of them."""


@dataclass(frozen=True)
class Score:
    """One validation: the mean loss over images, and the score of every image and class."""

    loss: float
    table: ScoreTable


@dataclass(frozen=True)
class Validator:
    """Scores networks on labelled samples. With several processes each takes every `world`-th, and all get the whole.

    `predictor` supplies preprocessing, windows and test-time augmentation; its network is replaced by the one given.
    """

    predictor: Predictor
    samples: Sequence[Sample]
    read: Reader
    unpack: Unpack
    metric: TaskMetric
    classes: tuple[str, ...]
    loss: Loss
    emit: Listener
    rank: int = 0
    world: int = 1

    def score(self, network: nn.Module, epoch: int, stop_requested: Callable[[], bool] = lambda: False) -> Score:
        """Score `network`, which stays in evaluation mode. Raises `Stopped` if that is requested after an image.

        With several processes all score the main one's network, statistics of batch normalisation included.
        """
        network.eval()
        if self.world > 1:
            share_buffers(network)
        mine = self.samples[self.rank :: self.world]
        rows: list[RowOnDevice] = []
        stopped = False
        for row in map_ahead(self._scored, self._predicted(network, mine), ahead=3):
            rows.append(row)
            self.emit(ImageScored(epoch, len(rows), len(mine)))
            if stop_requested():
                stopped = True
                break
        return self._joined(self._of_all(rows, stopped))

    def _of_all(self, own: list[RowOnDevice], stopped: bool) -> list[Row]:
        """Gather the rows of all processes in the order of samples. Raises `Stopped` in all if one has stopped."""
        rows = with_losses_read(own)
        all_rows = gather_object([(rows, stopped)]) if self.world > 1 else [(rows, stopped)]
        if any(stopped for _, stopped in all_rows):
            raise Stopped
        in_turn = zip_longest(*(rows for rows, _ in all_rows))
        return [row for turn in in_turn for row in turn if row is not None]

    def _predicted(self, network: nn.Module, samples: Sequence[Sample]) -> Iterator[tuple[Loaded, Bytes, Tensor]]:
        """Yield each image with its mask and its loss; images and labels are read ahead of the network."""
        predictor = replace(self.predictor, network=network).accelerated()
        started = (
            (each.loaded, predictor.start_decoding(each), self._loss(each.frame_logits_Chw, each.loaded))
            for each in predictor.predict(samples, self.read)
        )
        for loaded, mask, loss in lag(started, predictor.images_ahead):
            yield loaded, mask(), loss

    @torch.inference_mode()
    def _loss(self, logits_Chw: Tensor, loaded: Loaded) -> Tensor:
        """The training loss of one image at the network's size, a scalar."""
        assert loaded.target_hwK is not None
        masks = to_device(loaded.target_hwK, logits_Chw.device)[None]
        return self.loss(logits_Chw[None], self.unpack(masks, len(self.classes)))

    def _scored(self, predicted: tuple[Loaded, Bytes, Tensor]) -> RowOnDevice:
        """Score one mask against the truth."""
        loaded, mask, loss = predicted
        assert loaded.truth_HWK is not None
        return loaded.sample.name, self.metric.of_masks(mask, loaded.truth_HWK, len(self.classes)), loss

    def _joined(self, rows: Sequence[Row]) -> Score:
        if not rows:
            raise UserError("data.folds: no image is held out for validation. Use fewer folds or more images.")
        table = ScoreTable(self.classes, self.metric.metric)
        for name, score_C, _ in rows:
            table.add(name, score_C)
        return Score(float(np.mean([loss for _, _, loss in rows])), table)


def with_losses_read(rows: Sequence[RowOnDevice]) -> list[Row]:
    """Read the losses from the device, all at once."""
    losses: list[float] = torch.stack([loss.reshape(()) for _, _, loss in rows]).tolist() if rows else []
    return [(name, score_C, loss) for (name, score_C, _), loss in zip(rows, losses, strict=True)]


def write_validation(
    path: Path,
    epoch: int,
    table: ScoreTable,
    strata: Mapping[str, str | None],
    groups: Mapping[str, str],
    step: int | None = None,
) -> None:
    """Record how the best network scored on each held-out image and class; `epoch` from 0, written from 1.

    `strata`: the stratum of each image by name, None if it is not known; `groups`: its group. `step`: the optimizer
    steps that it has learnt from, if the training is counted in them.
    """
    values = {
        "epoch": epoch + 1,
        **({} if step is None else {"step": step}),
        **table.summary(),
        "strata": {image: strata[image] for image in table.per_image},
        "groups": {image: groups[image] for image in table.per_image},
        "per_image_and_class": table.per_image_and_class,
    }
    write_text(path, json.dumps(values, indent=2) + "\n")
